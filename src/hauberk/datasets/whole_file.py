"""New files that are there whole or not at all: written under other names, flushed to disk, then given their own."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from hauberk.core.errors import UsageError


@contextmanager
def whole_files(*paths: Path) -> Iterator[tuple[BinaryIO, ...]]:
    """Open files for writing that get their names together, when the block ends well; raises UsageError.

    A full disk, a fault or Ctrl-C leaves nothing under the names, nor beside them. Nothing is ever replaced.
    """
    for path in paths:
        absent(path)
    parts = [path.with_name(f".{path.name}.{secrets.token_hex(6)}.part") for path in paths]
    try:
        with ExitStack() as stack:
            files = tuple(stack.enter_context(part.open("xb")) for part in parts)
            yield files
            for file in files:
                file.flush()
                os.fsync(file.fileno())
        _publish(parts, paths)
    except OSError as error:
        fix = "free space, or name another place"
        raise UsageError(f"cannot be written: {error.strerror or error}", where=str(paths[0]), fix=fix) from error
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def absent(path: Path) -> None:
    """Raise UsageError where something has the name already."""
    if os.path.lexists(path):
        raise UsageError("is there already", where=str(path), fix="name another file: nothing is replaced")


def _publish(parts: list[Path], paths: tuple[Path, ...]) -> None:
    """Give files their names, unless somebody else took one meanwhile; all or none."""
    given: list[Path] = []
    try:
        for part, path in zip(parts, paths, strict=True):
            _name(part, path)
            given.append(path)
    except BaseException:
        for path in given:
            path.unlink(missing_ok=True)
        raise


def _name(part: Path, path: Path) -> None:
    try:
        os.link(part, path)
    except FileExistsError:
        absent(path)
        raise
    except OSError:  # a file system without hard links
        absent(path)
        part.rename(path)
