"""The verb `data mask`: write a data set anew without its personal data."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec

from hauberk.api.masking_files import copier_of
from hauberk.core.errors import DataError, MissingExtra, UsageError
from hauberk.core.progress import Silent
from hauberk.core.protocols import Progress
from hauberk.crypto.key_sources import source
from hauberk.crypto.key_wrapping import SecretKey

if TYPE_CHECKING:
    from hauberk.scanning.pii.columns import PersonalColumns
    from hauberk.scanning.pii.masking import Manner, Masker

_SILENT = Silent()


class MaskedColumn(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken out of one column. kind: such as "card". rows: in how many rows it stood."""

    column: str
    kind: str
    rows: int


class MaskedFile(msgspec.Struct, frozen=True, kw_only=True):
    """What was written. replaced: values in all. columns: what stood where; never a value."""

    path: Path
    replaced: int
    columns: tuple[MaskedColumn, ...]


def mask(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    manner: str = "redact",
    key: str = "",
    keep_format: bool = False,
    progress: Progress = _SILENT,
) -> MaskedFile:
    """Read a CSV, JSON Lines, Parquet or text file twice, and write it anew without the personal data found in it.

    The first reading learns what each column is, the second replaces: manner "redact" ([CARD]), "mask" (the last four
    stay) or "pseudonym" (the same value, the same token). key: file:PATH or env:NAME, for pseudonyms. keep_format: a
    pseudonym has digits and letters where the value had them. The file itself stays as it is. What was not recognised
    is still there: look at what `hauberk data audit` says of the copy. Raises UsageError, DataError.

    Example:
        >>> hauberk.mask("people.csv", "people-masked.csv", manner="mask")  # doctest: +SKIP
    """
    given, target = Path(path), Path(output)
    if not given.is_file():
        raise UsageError("no such file", where=str(path))
    if os.path.lexists(target):
        raise UsageError("there is a file of that name", where=str(output), fix="name another")
    if manner not in ("redact", "mask", "pseudonym"):
        raise UsageError(f'no manner "{manner}"', fix="redact, mask or pseudonym")
    secret = _secret(key, manner)
    try:
        from hauberk.scanning.pii.columns import PersonalColumns
        from hauberk.scanning.pii.masking import Masker
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), "data") from error
    seen = PersonalColumns()
    masker = Masker(cast("Manner", manner), secret, keep_format=keep_format)
    replaced = _written(given, target, masker, seen, progress)
    rows = [
        MaskedColumn(column=name, kind=one.kind, rows=one.rows.count)
        for name, found in seen.seen().items()
        for one in found
    ]
    return MaskedFile(path=target, replaced=replaced, columns=tuple(rows))


def _written(given: Path, target: Path, masker: Masker, seen: PersonalColumns, progress: Progress) -> int:
    """Read twice and write once, whole or not at all; → how many values were replaced."""
    copier = copier_of(given)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(6)}.new")
    replaced = 0

    def look(column: str, first: int, texts: list[str | None]) -> list[str | None]:
        seen.visit(column, first, texts)
        return texts

    def change(column: str, first: int, texts: list[str | None]) -> list[str | None]:  # noqa: ARG001
        nonlocal replaced
        done = masker.batch(column, texts, seen)
        replaced += done.replaced
        return done.texts

    try:
        with progress.step("mask", 2, "readings") as step:
            copier(given, None, look)
            step.advance()
            copier(given, partial, change)
            step.advance()
        partial.replace(target)
    except UnicodeDecodeError as error:
        raise DataError("is not UTF-8", where=str(given), fix="save it as UTF-8") from error
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror or error}", where=str(target)) from error
    finally:
        partial.unlink(missing_ok=True)
    return replaced


def _secret(key: str, manner: str) -> bytes:
    """Derive the pseudonyms' key; raises UsageError."""
    if manner != "pseudonym":
        return b""
    found = source(key) if key else None
    if not isinstance(found, SecretKey):
        raise UsageError(
            "a pseudonym needs a key",
            fix="give --key file:PATH or env:NAME; `hauberk seal --new-secret FILE` makes one",
        )
    return found.derived("pseudonyms")
