"""Content digests, "sha256:…", of bytes, of a file, and of a folder as a tree."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

PREFIX = "sha256:"
_CHUNK = 1 << 20


def of_bytes(data: bytes) -> str:
    """Digest bytes."""
    return PREFIX + hashlib.sha256(data).hexdigest()


def of_file(path: Path) -> str:
    """Digest a file's content, streamed; raises OSError."""
    with path.open("rb") as file:
        return PREFIX + hashlib.file_digest(file, "sha256").hexdigest()


def of_folder(folder: Path, *, leave_out: Callable[[str], bool] = lambda _: False) -> str:
    """Digest a folder: names, kinds and contents, whatever the order on disk, the times and the permissions.

    One line a path, sorted by its UTF-8 bytes: kind, digest of content (of the target's text for a symbolic link, which
    is not followed), length of the name, name. Empty folders count; sockets, pipes and devices count by name only and
    are never opened.
    leave_out: says of a POSIX path relative to the folder whether it does not count, with all below it.
    Raises OSError.
    """
    tree = hashlib.sha256()
    for name, line in sorted(_lines(folder, "", leave_out)):
        tree.update(line + b" %d " % len(name) + name + b"\n")
    return PREFIX + tree.hexdigest()


def _lines(folder: Path, above: str, leave_out: Callable[[str], bool]) -> Iterator[tuple[bytes, bytes]]:
    """Walk a folder → (name, what is there)."""
    for item in os.scandir(folder):
        name = above + item.name
        if leave_out(name):
            continue
        key = os.fsencode(name)
        mode = item.stat(follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            yield key, b"link " + of_bytes(os.fsencode(Path(item.path).readlink())).encode()
        elif stat.S_ISDIR(mode):
            yield key, b"folder"
            yield from _lines(Path(item.path), name + "/", leave_out)
        elif stat.S_ISREG(mode):
            yield key, b"file " + of_file(Path(item.path)).encode()
        else:
            yield key, b"other"
