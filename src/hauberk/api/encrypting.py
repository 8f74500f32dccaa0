"""The verb `seal --encrypt`: encrypt files or a folder, and change the keys of what is encrypted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from hauberk.core.errors import UsageError
from hauberk.core.progress import Silent
from hauberk.core.protocols import Progress
from hauberk.crypto.key_sources import sources
from hauberk.crypto.key_wrapping import new_secret
from hauberk.crypto.sealed_files import is_sealed
from hauberk.crypto.sealed_layout import SEGMENT, SUFFIX, read_header
from hauberk.sealing.encrypting import encrypt_file, rewrap
from hauberk.sealing.faults import Fault, shown
from hauberk.sealing.tree import walk
from hauberk.sealing.writing import write_whole

_SILENT = Silent()


class EncryptedFiles(msgspec.Struct, frozen=True, kw_only=True):
    """What was encrypted. path: the file or folder written. resumed: plain bytes earlier tries had written."""

    path: Path
    files: int
    size: int
    resumed: int = 0


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """What opens an encrypted file. kind: "file", "environment", "passphrase" or "pkcs11". id: which key."""

    kind: str
    id: str


def encrypt(
    path: str | os.PathLike[str],
    keys: Sequence[str],
    *,
    output: str | os.PathLike[str] = "",
    segment: int = SEGMENT,
    ask: Callable[[], str] | None = None,
    progress: Progress = _SILENT,
) -> EncryptedFiles:
    """Encrypt a file to FILE.sealed, or every file of a folder to FOLDER.sealed/…; the plain files stay where they are.

    keys: file:PATH, env:NAME, passphrase, pkcs11:…; any one of them opens it. segment: bytes encrypted at once. ask:
    for the passphrase. Stopped and called again, it goes on where it was. Raises UsageError, MeasurementError.

    Example:
        >>> hauberk.encrypt("data/train.parquet", ["file:data.key"])  # doctest: +SKIP
    """
    source = Path(path)
    found = sources(keys, ask) if keys else ()
    target = Path(output) if output else source.with_name(source.name + SUFFIX)
    pairs = list(_pairs(source, target))
    total = sum(one.stat().st_size for one, _ in pairs)
    size = resumed = 0
    with progress.step("encrypt", total, "bytes") as step:
        for one, sealed in pairs:
            sealed.parent.mkdir(parents=True, exist_ok=True)
            done = encrypt_file(one, sealed, found, segment=segment, step=step)
            size, resumed = size + done.size, resumed + done.resumed
    return EncryptedFiles(path=target, files=len(pairs), size=size, resumed=resumed)


def _pairs(source: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """Pair plain files with where they go; raises UsageError for links and what is no file."""
    if not os.path.lexists(source):
        raise UsageError("no such file or folder", where=str(source))
    if source.is_dir() and target.resolve().is_relative_to(source.resolve()):
        raise UsageError("the output lies inside what is encrypted", where=str(target), fix="name another place")
    listing = walk(source, frozenset())
    odd = [
        Fault(kind="kind", path=item.name, message=f"is a {item.kind}") for item in listing.items if item.kind != "file"
    ]
    faults = [*listing.faults, *(fault for fault in odd if fault.message != "is a folder")]
    if faults:
        raise UsageError(
            f"{shown(faults[0].path)} {faults[0].message}", where=str(source), fix="only files are encrypted"
        )
    for item in listing.items:
        if item.kind == "file":
            yield (source, target) if item.name == "." else (source / item.name, target / (item.name + SUFFIX))


def rotate(
    path: str | os.PathLike[str],
    keys: Sequence[str],
    fresh: Sequence[str],
    *,
    ask: Callable[[], str] | None = None,
    ask_fresh: Callable[[], str] | None = None,
) -> EncryptedFiles:
    """Lock encrypted files with other keys, without touching their data. Raises UsageError, Altered."""
    if not fresh:
        raise UsageError("no new key is named", fix="give --to")
    root = Path(path)
    files = [root] if root.is_file() else sorted(one for one in root.rglob("*") if one.is_file() and is_sealed(one))
    if not files:
        raise UsageError("holds no encrypted file", where=str(path))
    old, new = sources(keys, ask), sources(fresh, ask_fresh or ask)
    written = sum(rewrap(one, old, new) for one in files)
    return EncryptedFiles(path=root, files=len(files), size=written)


def locks(path: str | os.PathLike[str]) -> tuple[Lock, ...]:
    """Say what opens an encrypted file. Nothing of it is authenticated without a key. Raises UsageError, Altered."""
    try:
        with Path(path).open("rb") as file:
            _, slots = read_header(file)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from error
    return tuple(Lock(kind=shown(one.kind), id=shown(one.id or one.label)) for one in slots[0].wraps())


def new_key_file(path: str | os.PathLike[str]) -> Path:
    """Make a key file of 32 random bytes that only its owner may read; never replaces a file. Raises UsageError."""
    target = Path(path)
    write_whole(target, new_secret(), private=True, fresh=True)
    return target
