"""Bytes too large to hold: a stretch of a file where they lie, or a temporary file they were unpacked to."""

from __future__ import annotations

import io
import os
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, cast

from hauberk.core.errors import LimitExceeded

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

IN_MEMORY = 8 << 20
"""Unpacked bytes beyond these go to a temporary file without a name."""


class Stretch:
    """`size` bytes from `start` of whatever `opener` opens; read piece by piece, never held whole.

    spent: how many of them were unpacked, and so count against an allowance; none of what lies stored in a file.
    """

    __slots__ = ("_opener", "_size", "_start", "spent")

    def __init__(self, opener: Callable[[], BinaryIO], start: int, size: int, spent: int = 0) -> None:
        self._opener, self._start, self._size = opener, start, size
        self.spent = spent

    def __len__(self) -> int:
        return self._size

    def open(self) -> BinaryIO:
        """Open for seekable reading."""
        return cast(BinaryIO, io.BufferedReader(_Part(self._opener(), self._start, self._size)))

    def first(self, count: int) -> bytes:
        """Return the first bytes."""
        with self.open() as stream:
            return stream.read(count)


Content: TypeAlias = bytes | Stretch
"""The bytes of a member, small ones in memory."""


def first(content: Content, count: int) -> bytes:
    """Return the first bytes of a content."""
    return content.first(count) if isinstance(content, Stretch) else content[:count]


def spent(content: Content) -> int:
    """Return how many bytes a content took out of an allowance."""
    return content.spent if isinstance(content, Stretch) else len(content)


def opened(content: Content) -> BinaryIO:
    """Open a content for seekable reading."""
    return content.open() if isinstance(content, Stretch) else io.BytesIO(content)


class _Part(io.RawIOBase):
    """A part of a stream with offsets of its own."""

    def __init__(self, stream: BinaryIO, start: int, size: int) -> None:
        self._stream, self._start, self._size, self._place = stream, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = max(0, offset + (0, self._place, self._size)[whence])
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        self._stream.seek(self._start + self._place)
        piece = self._stream.read(max(0, min(len(view), self._size - self._place)))
        view[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)

    def close(self) -> None:
        self._stream.close()
        super().close()


class Sink:
    """Where unpacked bytes go: memory while they are few, then a temporary file; raises LimitExceeded without room."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._file: _Nameless | None = None
        self.size = 0

    def write(self, piece: bytes) -> None:
        """Take the next bytes."""
        self.size += len(piece)
        if self._file is None and self.size <= IN_MEMORY:
            self._held += piece
            return
        try:
            if self._file is None:
                self._file = _Nameless()
                self._file.append(bytes(self._held))
                self._held.clear()
            self._file.append(piece)
        except OSError as error:
            raise LimitExceeded(f"no room to unpack it: {error.strerror or error}", fix="free disk space") from None

    def content(self) -> Content:
        """Return what was written."""
        if self._file is None:
            return bytes(self._held)
        return Stretch(self._file.open, 0, self.size, self.size)


class _Nameless:
    """A temporary file that no folder lists, gone when nothing refers to it any more."""

    def __init__(self) -> None:
        import tempfile

        with tempfile.TemporaryFile() as made:
            self._descriptor = os.dup(made.fileno())
        weakref.finalize(self, os.close, self._descriptor)

    def append(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def open(self) -> BinaryIO:
        return cast(BinaryIO, io.BufferedReader(_Positions(self, self._descriptor)))


class _Positions(io.RawIOBase):
    """A reading position in a file that several readers share; it keeps the file alive."""

    def __init__(self, owner: object, descriptor: int) -> None:
        self._owner, self._descriptor, self._place = owner, descriptor, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        size = os.fstat(self._descriptor).st_size if whence == os.SEEK_END else 0
        self._place = max(0, offset + (0, self._place, size)[whence])
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: WriteableBuffer) -> int:
        count = os.preadv(self._descriptor, [buffer], self._place)
        self._place += count
        return count
