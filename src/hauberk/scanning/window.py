"""Reads at any offset of a long stream, with one chunk in memory."""

from __future__ import annotations

from typing import BinaryIO

CHUNK = 1 << 18


class Window:
    """A stream of `size` bytes (as declared by the file system or the archive), read a chunk at a time.

    chunk: bytes read at once; fewer where the places asked for lie far apart.
    """

    __slots__ = ("_base", "_buffer", "_chunk", "_stream", "size")

    def __init__(self, stream: BinaryIO, size: int, chunk: int = CHUNK) -> None:
        self._stream, self.size, self._chunk = stream, size, chunk
        self._base, self._buffer = 0, b""

    def at(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes from `offset`; fewer only at the end of what is there."""
        start = offset - self._base
        if start < 0 or start + count > len(self._buffer):
            self._fill(offset, count)
            start = 0
        return self._buffer[start : start + count]

    def code(self, offset: int) -> int:
        """Return the byte at `offset`, or -1 beyond what is there."""
        start = offset - self._base
        if 0 <= start < len(self._buffer):
            return self._buffer[start]
        self._fill(offset, 1)
        return self._buffer[0] if self._buffer else -1

    def line_end(self, offset: int) -> int:
        """Return the offset after the next line feed, however far; -1 where there is none."""
        while True:
            start = offset - self._base
            stop = self._buffer.find(b"\n", start) if 0 <= start < len(self._buffer) else -1
            if stop >= 0:
                return self._base + stop + 1
            offset = self._base + len(self._buffer) if 0 <= start < len(self._buffer) else offset
            self._fill(offset, 1)
            if not self._buffer:
                return -1

    def line(self, offset: int, cap: int) -> bytes:
        """Return the bytes from `offset` up to and with the next line feed, at most `cap` of them."""
        start = offset - self._base
        stop = self._buffer.find(b"\n", start, start + cap) if start >= 0 else -1
        if stop < 0:
            self._fill(offset, cap)
            start, stop = 0, self._buffer.find(b"\n", 0, cap)
        return self._buffer[start : cap if stop < 0 else stop + 1]

    def _fill(self, offset: int, count: int) -> None:
        self._stream.seek(offset)
        self._base, self._buffer = offset, self._stream.read(max(count, self._chunk))
