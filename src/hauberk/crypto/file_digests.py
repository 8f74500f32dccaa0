"""Digests of one open file in one read: SHA-256 and BLAKE3 side by side, and what proves that it stood still."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from concurrent.futures import Executor
from pathlib import Path
from threading import Event
from typing import Literal, NamedTuple, Protocol, TypeAlias

from blake3 import blake3

Algorithm: TypeAlias = Literal["sha256", "blake3", "blake2b"]
ALGORITHMS: tuple[Algorithm, ...] = ("sha256", "blake3", "blake2b")
BUFFER = 4 << 20
SMALL = 1 << 20


class Changed(OSError):
    """The file changed while it was read, or is not what it was when it was listed."""


class Still(NamedTuple):
    """What stays the same of a file that nobody writes to: device, inode, size, times in nanoseconds."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, info: os.stat_result) -> Still:
        """Take it from a stat result."""
        return cls(info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


class FileDigests(NamedTuple):
    """Digests in hexadecimal by algorithm, of the bytes the file had while it stood still."""

    values: dict[Algorithm, str]
    still: Still


class _Hasher(Protocol):
    def update(self, data: memoryview, /) -> object: ...

    def hexdigest(self) -> str: ...


def open_still(path: Path | str, *, follow: bool = False) -> int:
    """Open a regular file for reading, never waiting and never through a link unless asked; raises OSError."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags if follow else flags | getattr(os, "O_NOFOLLOW", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Changed("it is not a regular file any more")
    return descriptor


def digest_file(
    path: Path | str,
    algorithms: tuple[Algorithm, ...],
    *,
    follow: bool = False,
    pool: Executor | None = None,
    stop: Event | None = None,
) -> FileDigests:
    """Digest a file in one read; raises OSError, and Changed where it did not stand still.

    The bytes are read, not mapped: a mapped file that is cut short meanwhile would end the process. Every digest is of
    the same bytes. pool: where large files may have a second thread, which also reads ahead. stop: ends the
    work in the middle of a file.
    """
    descriptor = open_still(path, follow=follow)
    try:
        before = Still.of(os.fstat(descriptor))
        hashers = {name: _new(name, several=pool is not None and before.size > SMALL) for name in algorithms}
        file = io.FileIO(descriptor, closefd=False)
        if pool is not None and before.size > SMALL and len(hashers) > 1:
            read = _side_by_side(file, list(hashers.values()), pool, stop or Event())
        else:
            read = _one_by_one(file, list(hashers.values()), before.size, stop or Event())
        if read != before.size or Still.of(os.fstat(descriptor)) != before:
            raise Changed("it changed while it was read")
    finally:
        os.close(descriptor)
    return FileDigests({name: hasher.hexdigest() for name, hasher in hashers.items()}, before)


def digest_range(path: Path | str, start: int, end: int, algorithm: Algorithm, *, follow: bool = False) -> str:
    """Digest bytes [start, end) of a file; raises OSError, and Changed where the file is shorter."""
    descriptor = open_still(path, follow=follow)
    try:
        file = io.FileIO(descriptor, closefd=False)
        file.seek(start)
        hasher = _new(algorithm, several=False)
        buffer, left = memoryview(bytearray(min(SMALL, max(end - start, 1)))), end - start
        while left > 0:
            count = file.readinto(buffer[: min(left, len(buffer))])
            if not count:
                raise Changed("it is shorter than it was")
            hasher.update(buffer[:count])
            left -= count
    finally:
        os.close(descriptor)
    return hasher.hexdigest()


def _new(name: Algorithm, *, several: bool) -> _Hasher:
    if name == "blake3":
        return blake3(max_threads=blake3.AUTO if several else 1)
    return hashlib.sha256() if name == "sha256" else hashlib.blake2b()


def _one_by_one(file: io.FileIO, hashers: list[_Hasher], size: int, stop: Event) -> int:
    buffer, total = memoryview(bytearray(min(SMALL, size + 1))), 0
    while count := file.readinto(buffer):
        if stop.is_set():
            raise Changed("it was left in the middle")
        for hasher in hashers:
            hasher.update(buffer[:count])
        total += count
    return total


def _side_by_side(file: io.FileIO, hashers: list[_Hasher], pool: Executor, stop: Event) -> int:
    """Let the first digest go on here while a second thread makes the others and reads the next piece."""
    first, others = hashers[0], hashers[1:]
    here, there = memoryview(bytearray(BUFFER)), memoryview(bytearray(BUFFER))

    def rest(piece: memoryview, following: memoryview) -> int:
        for hasher in others:
            hasher.update(piece)
        return file.readinto(following)

    count, total = file.readinto(here), 0
    while count:
        if stop.is_set():
            raise Changed("it was left in the middle")
        total += count
        following = pool.submit(rest, here[:count], there)
        first.update(here[:count])
        count, here, there = following.result(), there, here
    return total
