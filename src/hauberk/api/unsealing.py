"""The verb `unseal`: decrypt files or a folder that `seal --encrypt` wrote."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from hauberk.core.errors import UsageError
from hauberk.core.progress import Silent
from hauberk.core.protocols import Progress
from hauberk.crypto.key_sources import sources
from hauberk.crypto.sealed_files import is_sealed
from hauberk.crypto.sealed_layout import SUFFIX
from hauberk.sealing.decrypting import decrypt_file

_SILENT = Silent()


class Unsealed(msgspec.Struct, frozen=True, kw_only=True):
    """What was decrypted. path: the file or folder written. size: plain bytes."""

    path: Path
    files: int
    size: int


def unseal(
    path: str | os.PathLike[str],
    keys: Sequence[str] = (),
    *,
    output: str | os.PathLike[str] = "",
    ask: Callable[[], str] | None = None,
    progress: Progress = _SILENT,
) -> Unsealed:
    """Decrypt FILE.sealed to FILE, or every encrypted file of a folder; never replaces a file.

    keys: as for `encrypt`; by default those that HAUBERK_OPEN_WITH, HAUBERK_KEY or HAUBERK_PASSPHRASE name.
    Raises UsageError (wrong key, lost key), Altered (it is not what was written).

    Example:
        >>> hauberk.unseal("data/train.parquet.sealed", ["file:data.key"])  # doctest: +SKIP
    """
    source = Path(path)
    target = Path(output) if output else _plain(source)
    pairs = list(_pairs(source, target))
    found = sources(keys, ask)
    size = 0
    with progress.step("decrypt", sum(one.stat().st_size for one, _ in pairs), "bytes") as step:
        for one, plain in pairs:
            plain.parent.mkdir(parents=True, exist_ok=True)
            size += decrypt_file(one, plain, found, step=step).size
    return Unsealed(path=target, files=len(pairs), size=size)


def _plain(source: Path) -> Path:
    """Name the plain file or folder; raises UsageError where the name does not tell."""
    if not source.name.endswith(SUFFIX):
        raise UsageError(f"does not end in {SUFFIX}", where=str(source), fix="say where to with --output")
    return source.with_name(source.name.removesuffix(SUFFIX))


def _pairs(source: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """Pair encrypted files with where they go; a folder keeps its tree."""
    if not os.path.lexists(source):
        raise UsageError("no such file or folder", where=str(source))
    if not source.is_dir():
        yield source, target
        return
    found = [one for one in sorted(source.rglob("*")) if one.is_file() and not one.is_symlink() and is_sealed(one)]
    if not found:
        raise UsageError("holds no encrypted file", where=str(source))
    for one in found:
        yield one, target / one.relative_to(source).with_name(one.name.removesuffix(SUFFIX))
