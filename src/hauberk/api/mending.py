"""The safe changes that rules propose: shown as a diff, made only when asked, never over what changed meanwhile."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from hauberk.core.limits import DEFAULT_LIMITS
from hauberk.scanning.artifact import Edit
from hauberk.scanning.blobs import FileBlob
from hauberk.scanning.fixing import fixed
from hauberk.scanning.kit import tools
from hauberk.scanning.reading import proposed_edits
from hauberk.scanning.tree import survey

_LARGEST = 4 << 20


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One file's safe changes. before: its bytes as they were read."""

    file: Path
    path: str
    before: bytes
    after: bytes
    diff: str


def proposed(paths: Sequence[str | os.PathLike[str]]) -> tuple[Change, ...]:
    """Work out the safe changes of the Python files under some paths; changes nothing."""
    return tuple(change for path in paths for change in _below(Path(path)))


def _below(root: Path) -> Iterator[Change]:
    kit = tools()
    for listed in survey(root, (".",), ()).files:
        if not listed.path.endswith((".py", ".pyw")):
            continue
        try:
            blob = FileBlob(listed.file, listed.path, DEFAULT_LIMITS)
            before = blob.read() if blob.size <= _LARGEST else b""
        except OSError:
            continue
        edits: tuple[Edit, ...] = tuple(proposed_edits(blob, kit, DEFAULT_LIMITS)) if before else ()
        try:
            made = fixed(before.decode("utf-8"), edits, listed.path)
        except UnicodeDecodeError:
            continue
        if made.applied:
            after = made.text.encode("utf-8")
            yield Change(file=Path(listed.file), path=listed.path, before=before, after=after, diff=made.diff)


def mend(changes: Sequence[Change]) -> Iterator[Path]:
    """Make changes, file by file, and yield what was changed; a file that is no longer what was read is left alone."""
    for change in changes:
        if change.file.read_bytes() != change.before:
            continue
        partial = change.file.with_name(f".{change.file.name}.{secrets.token_hex(6)}.new")
        try:
            partial.write_bytes(change.after)
            partial.chmod(change.file.stat().st_mode & 0o7777)
            partial.replace(change.file)
        finally:
            partial.unlink(missing_ok=True)
        yield change.file
