"""UBJSON (draft 12) as XGBoost writes it: a bounded reader without recursion; typed arrays stay where they are."""

from __future__ import annotations

import struct
from typing import NamedTuple, TypeAlias, cast

from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

_CODES = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q", b"d": ">f", b"D": ">d", b"C": ">c"}
_WHOLE = frozenset(b"iUIlL")
_CONSTANTS: dict[bytes, bool | None] = {b"T": True, b"F": False, b"Z": None}
_DEPTH = 64
_TEXT = 1 << 20


class Numbers(NamedTuple):
    """A typed array: where it lies. code: of struct, one element."""

    code: str
    start: int
    length: int


Value: TypeAlias = "dict[str, Value] | list[Value] | Numbers | str | int | float | bool | None"


class BrokenUbjson(Exception):
    """The bytes are no UBJSON. offset: where they stop being it."""

    def __init__(self, offset: int, what: str) -> None:
        super().__init__(f"{what} at byte {offset}")
        self.offset = offset


class UbjsonReader:
    """Reads one document from the beginning of a window."""

    def __init__(self, window: Window, watch: Watch) -> None:
        self._window, self._watch = window, watch
        self.place = 0

    def read(self) -> Value:
        """Read the document; raises BrokenUbjson, LimitExceeded."""
        root: list[Value] = []
        open_: list[tuple[dict[str, Value] | list[Value], int]] = [(root, 1)]
        while open_:
            self._watch.tick()
            holder, size = open_[-1]
            if len(holder) == size or (size < 0 and self._closes(holder)):
                open_.pop()
                continue
            key = self._text() if isinstance(holder, dict) else ""
            value, count = self._value(self._bytes(1))
            if isinstance(holder, list):
                holder.append(value)
            elif key in holder:
                raise BrokenUbjson(self.place, f"the key {key[:40]!r} twice")
            else:
                holder[key] = value
            if isinstance(value, dict | list):
                open_.append((value, count))
            if len(open_) > _DEPTH:
                raise BrokenUbjson(self.place, f"nesting deeper than {_DEPTH}")
        return root[0]

    def _closes(self, holder: dict[str, Value] | list[Value]) -> bool:
        if self._window.at(self.place, 1) != (b"}" if isinstance(holder, dict) else b"]"):
            return False
        self.place += 1
        return True

    def numbers(self, span: Numbers) -> tuple[int | float, ...]:
        """Read a typed array."""
        width = struct.calcsize(span.code)
        data = self._window.at(span.start, span.length * width)
        return struct.unpack(f">{len(data) // width}{span.code[1]}", data)

    def _value(self, mark: bytes) -> tuple[Value, int]:
        """Read a value, or enter a container: with the number of its elements, -1 where it is closed by a mark."""
        if mark == b"{":
            if self._window.at(self.place, 1) in (b"$", b"#"):
                raise BrokenUbjson(self.place, "a counted object, which XGBoost does not write")
            return {}, -1
        if mark == b"[":
            return self._array()
        if mark in (b"S", b"H"):
            return self._text(), -1
        if mark in _CONSTANTS:
            return _CONSTANTS[mark], -1
        if mark in _CODES:
            return self._number(mark), -1
        raise BrokenUbjson(self.place - 1, "no value")

    def _array(self) -> tuple[Value, int]:
        """Enter a plain or counted array, or pass over a typed one."""
        mark = self._window.at(self.place, 1)
        if mark == b"#":
            self.place += 1
            return [], self._count()
        if mark != b"$":
            return [], -1
        _, kind, sharp = (self._bytes(1) for _ in range(3))
        if kind not in _CODES or sharp != b"#":
            raise BrokenUbjson(self.place, "a typed array without type and count")
        count = self._count()
        span = Numbers(_CODES[kind], self.place, count)
        self._skip(count * struct.calcsize(span.code))
        return span, -1

    def _number(self, mark: bytes) -> int | float:
        code = _CODES[mark]
        value = struct.unpack(code, self._bytes(struct.calcsize(code)))[0]
        return 0 if isinstance(value, bytes) else cast("int | float", value)

    def _count(self) -> int:
        mark = self._bytes(1)
        if mark[0] not in _WHOLE:
            raise BrokenUbjson(self.place - 1, "a length that is no whole number")
        count = int(self._number(mark))
        if count < 0:
            raise BrokenUbjson(self.place, "a negative length")
        return count

    def _text(self) -> str:
        length = self._count()
        start = self.place
        self._skip(length)
        return self._window.at(start, min(length, _TEXT)).decode("utf-8", "backslashreplace")

    def _skip(self, count: int) -> None:
        if self.place + count > self._window.size:
            raise BrokenUbjson(self.place, f"{count} bytes that the file does not have")
        self.place += count

    def _bytes(self, count: int) -> bytes:
        data = self._window.at(self.place, count)
        if len(data) < count:
            raise BrokenUbjson(self.place, "the file ends")
        self.place += count
        return data
