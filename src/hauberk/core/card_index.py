"""What the catalogues' files said when they were last read, in the user's own cache: a start reads one file, not 200.

An index counts only for files of the same names, sizes and times; without a cache, or a right to write, every start
reads the files themselves.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import msgspec

from hauberk.core.places import cache_folder
from hauberk.core.version import __version__

_T = TypeVar("_T")


class _State(NamedTuple):
    """One file of a catalogue. path: relative to the catalogue's folder."""

    path: str
    size: int
    modified: int


class _Index(msgspec.Struct, Generic[_T], frozen=True):
    """The catalogue's files, and what was read from them."""

    version: str
    states: tuple[_State, ...]
    entries: tuple[_T, ...]


def indexed(name: str, folder: Path, kind: type[_T], read: Callable[[], tuple[_T, ...]]) -> tuple[_T, ...]:
    """Return what `read` gave for the same files before, else what it gives now, kept for the next time.

    name: of the index. kind: of one entry, which msgspec can decode.
    """
    states = _states(folder)
    place = cache_folder()
    file = place / "catalogues" / f"{name}.msgpack" if place else None
    if file is None:
        return read()
    try:
        index = msgspec.msgpack.decode(file.read_bytes(), type=_Index[kind])  # type: ignore[valid-type]
        if index.version == __version__ and index.states == states:
            return index.entries
    except (OSError, msgspec.MsgspecError):
        pass
    entries = read()
    if _states(folder) == states:
        _keep(file, _Index(__version__, states, entries))
    return entries


def _states(folder: Path) -> tuple[_State, ...]:
    """List the Python files below a folder, sorted."""
    found: list[_State] = []
    pending = [""]
    while pending:
        below = pending.pop()
        with os.scandir(folder / below) as listing:
            for entry in listing:
                inner = f"{below}/{entry.name}" if below else entry.name
                if entry.name.endswith(".py"):
                    state = entry.stat()
                    found.append(_State(inner, state.st_size, state.st_mtime_ns))
                elif entry.name != "__pycache__" and entry.is_dir(follow_symlinks=False):
                    pending.append(inner)
    return tuple(sorted(found))


def _keep(file: Path, index: _Index[_T]) -> None:
    """Write an index whole or not at all; where that cannot be done the next start reads the files again."""
    from tempfile import NamedTemporaryFile  # only where there is something to keep

    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with NamedTemporaryFile(dir=file.parent, delete=False) as made:
            made.write(msgspec.msgpack.encode(index))
        Path(made.name).replace(file)
    except OSError:
        return
