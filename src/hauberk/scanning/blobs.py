"""Bytes to read: a regular file on disk, or a member of an archive, in memory or where it lies."""

from __future__ import annotations

import os
import stat
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import Limits
from hauberk.scanning.stretch import Content, Stretch, first, opened

HEAD = 4096


def _last(path: str, part: str) -> str:
    name = part.rsplit("!", 1)[-1] or path
    return name.replace("\\", "/").rsplit("/", 1)[-1].lower()


class FileBlob:
    """A regular file; anything else (pipe, device, folder) is refused before a byte is read.

    path: relative to the scanned root, POSIX. Raises OSError where the file cannot be opened or is not regular.
    """

    def __init__(self, file: str | Path, path: str, limits: Limits) -> None:
        self._file, self._limits = file, limits
        self.path, self.part = path, ""
        with self.open() as stream:
            self.size = os.fstat(stream.fileno()).st_size
            self.head = stream.read(HEAD)

    @cached_property
    def name(self) -> str:
        """The file's name, lower case."""
        return _last(self.path, "")

    def open(self) -> BinaryIO:
        """Open for reading; never blocks on a pipe that took the file's place."""
        descriptor = os.open(self._file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError("not a regular file")
        return os.fdopen(descriptor, "rb")

    def read(self) -> bytes:
        """Read all; raises LimitExceeded above limits.member_bytes."""
        _bound(self.size, self._limits)
        with self.open() as stream:
            return stream.read(self._limits.member_bytes)


class MemberBlob:
    """A member of an archive, or a payload inside another artifact, already unpacked within the limits."""

    def __init__(self, path: str, part: str, data: Content, limits: Limits) -> None:
        self._data, self._limits = data, limits
        self.path, self.part = path, part
        self.size, self.head = len(data), first(data, HEAD)

    @cached_property
    def name(self) -> str:
        """The innermost member's name, lower case."""
        return _last(self.path, self.part)

    def open(self) -> BinaryIO:
        """Open for seekable reading."""
        return opened(self._data)

    def read(self) -> bytes:
        """Return all; raises LimitExceeded above limits.member_bytes."""
        _bound(self.size, self._limits)
        return self._data.first(self.size) if isinstance(self._data, Stretch) else self._data


def _bound(size: int, limits: Limits) -> None:
    if size > limits.member_bytes:
        raise LimitExceeded(
            f"{size} bytes are more than the {limits.member_bytes} read at once", fix="raise the limit or look by hand"
        )
