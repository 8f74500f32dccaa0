"""Reads the operands of pickle opcodes: lengths are checked against the file, frames against their ends."""

from __future__ import annotations

import codecs
from typing import Literal

from hauberk.scanning.pickle_values import Opaque, Payload, Value
from hauberk.scanning.window import Window

LINE = 1 << 20
"""Longest line read whole: names and numbers; longer ones no loader accepts."""
TEXT = 1 << 16
"""Longest text kept as text; a longer one is kept by offset only."""
_HEAD = 48


class Broken(Exception):
    """The stream cannot go on. kind "cut": it goes on beyond the bytes at hand, though not beyond its size."""

    def __init__(self, kind: Literal["malformed", "truncated", "cut"], message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


class Operands:
    """A position in the stream. crossed: the first operand that runs over the end of its frame, if any.

    The C unpickler reads on over a frame's end, the Python one refuses: a crossing is two readings of one file.
    """

    __slots__ = ("_frame", "crossed", "position", "window")

    def __init__(self, window: Window, position: int) -> None:
        self.window, self.position = window, position
        self._frame = 0
        self.crossed: int | None = None

    def take(self, count: int) -> bytes:
        """Read `count` bytes."""
        start = self._advance(count)
        data = self.window.at(start, count)
        if len(data) < count:
            raise Broken("cut", "goes on beyond the bytes at hand")
        return data

    def code(self) -> int:
        """Read an opcode."""
        code = self.window.code(self.position)
        if code < 0:
            raise Broken("truncated" if self.position >= self.window.size else "cut", "ends before its STOP")
        self.position += 1
        return code

    def _advance(self, count: int) -> int:
        start = self.position
        if start + count > self.window.size:
            raise Broken("truncated", f"{count} bytes are announced, {max(0, self.window.size - start)} are left")
        if start < self._frame < start + count and self.crossed is None:
            self.crossed = start
        self.position = start + count
        return start

    def number(self, count: int, *, signed: bool = False) -> int:
        """Read a little-endian integer of `count` bytes."""
        return int.from_bytes(self.take(count), "little", signed=signed)

    def line(self) -> bytes:
        """Read a line without its line feed."""
        data = self.window.line(self.position, LINE)
        if not data.endswith(b"\n"):
            kind: Literal["truncated", "cut"] = "truncated" if self.position + len(data) >= self.window.size else "cut"
            raise Broken(kind, "a line without an end")
        self._advance(len(data))
        return data[:-1]

    def long_line(self) -> bytes | Payload:
        """Read a line of any length; a long one is passed over."""
        end = self.window.line_end(self.position)
        if end - self.position <= TEXT:
            return self.line()
        return self.payload(end - self.position)

    def decimal(self) -> Value:
        """Read an INT or LONG line; Opaque where Python refuses it (the C unpickler takes "010" as 8)."""
        line = self.long_line()
        if line in (b"00", b"01"):
            return line == b"01"
        try:
            return line if isinstance(line, Payload) else int(line.removesuffix(b"L"), 0)
        except ValueError:
            return Opaque("number")

    def real(self) -> Value:
        """Read a FLOAT line; Opaque where Python refuses it."""
        line = self.long_line()
        try:
            return line if isinstance(line, Payload) else float(line)
        except ValueError:
            return Opaque("number")

    def quoted(self) -> Value:
        """Read a STRING line: quotes and escapes."""
        line = self.long_line()
        if isinstance(line, Payload):
            return line
        line = line.strip()
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise Broken("malformed", "a string without quotes")
        try:
            return codecs.escape_decode(line[1:-1])[0].decode("latin-1")
        except ValueError as error:
            raise Broken("malformed", "a string with a bad escape") from error

    def escaped(self) -> Value:
        """Read a UNICODE line: \\u escapes."""
        line = self.long_line()
        try:
            if isinstance(line, Payload):
                line.coding = "raw-unicode-escape"
                return line
            return line.decode("raw-unicode-escape")
        except UnicodeDecodeError as error:
            raise Broken("malformed", "a text with a bad escape") from error

    def payload(self, count: int) -> Payload:
        """Pass over `count` bytes, keeping where they are and how they begin."""
        start = self._advance(count)
        head = self.window.at(start, min(count, _HEAD)) if count <= TEXT else b""
        return Payload(start, count, head)

    def text(self, count: int, encoding: str) -> str | Payload:
        """Read a text of `count` bytes; a long one is passed over."""
        if count > TEXT:
            long = self.payload(count)
            long.coding = encoding
            return long
        errors = "surrogatepass" if encoding == "utf-8" else "strict"
        try:
            return self.take(count).decode(encoding, errors)
        except UnicodeDecodeError as error:
            raise Broken("malformed", f"text that is not {encoding}") from error

    def enter_frame(self, length: int) -> None:
        """Begin a frame of `length` bytes."""
        if self.position < self._frame and self.crossed is None:
            self.crossed = self.position
        self._frame = self.position + length
