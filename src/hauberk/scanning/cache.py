"""Results of earlier scans, kept by content, name and the scanner's own text, in the user's own cache.

Never in the project: it must not bring its own answers. An unchanged file (size, times, inode, as git's index holds
them) is not read again; a file whose times changed but whose bytes did not is digested, not scanned.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import msgspec
from blake3 import blake3

from hauberk.core.limits import DEFAULT_LIMITS
from hauberk.core.version import __version__
from hauberk.scanning.blobs import FileBlob
from hauberk.scanning.known_vulnerable import cache_folder, snapshot
from hauberk.scanning.reading import FileScan, Order
from hauberk.scanning.release_index import NAME as RELEASES
from hauberk.scanning.tree import Listed

_DIGESTED = 64 << 20
"""Larger files are known by their times alone."""
_RACY = 2_000_000_000
"""Nanoseconds: a file changed so shortly before it was read may change again within one tick of its clock."""
_EVERY_SECONDS = 1.0
_ROWS = 500_000
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, state BLOB NOT NULL, key BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS results (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
)


class _State(NamedTuple):
    """What a file's directory entry says of it."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


class Cache:
    """Results of one project's files. What cannot be kept (no room, no right to write, another's file) is read anew."""

    def __init__(self, base: sqlite3.Connection | None, order: Order) -> None:
        self._base = base
        self._order = blake3(_own_text() + msgspec.msgpack.encode(order)).digest()
        self._decoder = msgspec.msgpack.Decoder(FileScan)
        self._encoder = msgspec.msgpack.Encoder()
        self._states: dict[str, _State] = {}
        self._written = time.monotonic()
        self.reused = 0

    @classmethod
    def at(cls, folder: Path, root: Path, order: Order) -> Cache:
        """Open the cache of the project at `root` in a folder, or one that keeps nothing."""
        name = blake3(os.fsencode(root.resolve())).hexdigest()[:32]
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            base = sqlite3.connect(folder / f"{name}.sqlite", timeout=2.0, isolation_level="IMMEDIATE")
            base.execute("PRAGMA journal_mode = WAL")
            base.execute("PRAGMA synchronous = OFF")  # losing it costs a scan
            for statement in _SCHEMA:
                base.execute(statement)
        except (OSError, sqlite3.Error):
            return cls(None, order)
        return cls(base, order)

    def __enter__(self) -> Cache:
        """Open for one scan."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep what was read, also of an interrupted scan."""
        if self._base is not None:
            self._write()
            self._base.close()
            self._base = None

    def get(self, listed: Listed) -> FileScan | None:
        """Return what the same bytes under the same name gave the same scanner, if it is kept."""
        if self._base is None or (state := _state(listed)) is None:
            return None
        self._states[listed.path] = state
        try:
            key = self._key(listed, state)
            row = self._base.execute("SELECT value FROM results WHERE key = ?", (key,)).fetchone() if key else None
            result = self._decoder.decode(row[0]) if row else None
        except (sqlite3.Error, msgspec.MsgspecError, OSError):
            return None
        self.reused += result is not None
        return result

    def put(self, listed: Listed, result: FileScan) -> FileScan:
        """Keep a result, if the file is still what it was when it was asked for; returns the result."""
        before = self._states.pop(listed.path, None)
        if self._base is None or before is None or _state(listed) != before or not _settled(result):
            return result
        try:
            key = self._new_key(listed, before)
            self._base.execute("INSERT OR REPLACE INTO results VALUES (?, ?)", (key, self._encoder.encode(result)))
            if time.monotonic() - self._written > _EVERY_SECONDS:
                self._write()
        except (sqlite3.Error, OSError):
            return result
        return result

    def _key(self, listed: Listed, state: _State) -> bytes | None:
        """Find the key of a file by its state, else by its bytes."""
        assert self._base is not None
        name = os.fsencode(listed.path)
        row = self._base.execute("SELECT state, key FROM files WHERE path = ?", (name,)).fetchone()
        if row and row[0] == self._stated(state, listed):
            return bytes(row[1])
        return self._new_key(listed, state) if state.size <= _DIGESTED else None

    def _new_key(self, listed: Listed, state: _State) -> bytes:
        """Digest name, scanner and bytes (of a large file its state), and note which state they belong to."""
        assert self._base is not None
        name, hasher = os.fsencode(listed.path), blake3(self._order)
        hasher.update(len(name).to_bytes(8, "little") + name + _said(listed))
        if state.size <= _DIGESTED:
            with FileBlob(listed.file, listed.path, DEFAULT_LIMITS).open() as stream:
                hasher.update(stream.read(_DIGESTED + 1))
        else:
            hasher.update(self._stated(state, listed))
        key = hasher.digest()
        if time.time_ns() - max(state.modified, state.changed) > _RACY:
            self._base.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?)", (name, self._stated(state, listed), key)
            )
        return key

    def _stated(self, state: _State, listed: Listed) -> bytes:
        return blake3(self._order + msgspec.msgpack.encode(state) + _said(listed)).digest()

    def _write(self) -> None:
        assert self._base is not None
        try:
            (rows,) = self._base.execute("SELECT count(*) FROM results").fetchone()
            if rows > _ROWS:
                self._base.execute("DELETE FROM results")
                self._base.execute("DELETE FROM files")
            self._base.commit()
        except sqlite3.Error:
            self._base.rollback()
        self._written = time.monotonic()


def _said(listed: Listed) -> bytes:
    """Digest what the project's other modules say of a file; a result holds only while they say the same."""
    if listed.known is None:
        return bytes(32)
    from hauberk.scanning.known_wire import to_wire

    return blake3(to_wire(listed.known)).digest()


def _settled(result: FileScan) -> bool:
    """Tell a result that the bytes alone decide from one that time or the machine decided."""
    return not result.beside and not any(getattr(entry, "kind", "") in ("error", "limit") for entry in result.entries)


def _state(listed: Listed) -> _State | None:
    try:
        found = Path(listed.file).stat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return _State(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@cache
def _own_text() -> bytes:
    """Digest the scanner itself by the state of its files, and the advisories and releases it was brought."""
    hasher = blake3(__version__.encode())
    for folder, folders, names in os.walk(Path(__file__).parent):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            found = Path(folder, name).stat()
            hasher.update(f"{name} {found.st_size} {found.st_mtime_ns}\n".encode())
    hasher.update(snapshot().digest.encode())
    releases = cache_folder() / RELEASES
    hasher.update(str(releases.stat().st_mtime_ns if releases.is_file() else 0).encode())
    return hasher.digest()
