"""Python's marshalled code, read by hand: the names it uses and the constants it carries; nothing is unmarshalled."""

from __future__ import annotations

import re
import struct
from typing import NamedTuple, TypeAlias

Item: TypeAlias = "str | bytes | int | list[Item] | None"

_DEPTH = 40
_ITEMS = 200_000
_SHOWN = 12
_LAYOUTS: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = (
    ("iiiiiooooooooioo", (7, 8), (6,)),  # Python 3.11 and later
    ("iiiiiiooooooooio", (8, 9, 10, 11), (7,)),  # 3.8 to 3.10
    ("iiiiiooooooooio", (7, 8, 9, 10), (6,)),  # 3.0 to 3.7
    ("iiiiooooooooio", (6, 7, 8, 9), (5,)),  # 2
)
"""Fields of a code object (int or object), those with names, those with constants (CPython, Python/marshal.c)."""
_WORD = re.compile(rb"[A-Za-z_][A-Za-z0-9_.]{1,80}")
_TEXT = re.compile(rb"[\x20-\x7e]{3,}")


class Code(NamedTuple):
    """What marshalled code says of itself. names: every identifier. constants: its texts, shortened, in one line."""

    names: tuple[str, ...]
    constants: str
    whole: bool


class _Broken(Exception):
    """The bytes do not follow this version's layout."""


def described(data: bytes) -> Code:
    """Read names and texts; where no known version wrote the bytes, every printable run of them."""
    for fields, names, constants in _LAYOUTS:
        reader = _Reader(data, fields, names, constants)
        try:
            reader.item(0)
        except (_Broken, struct.error, IndexError):
            continue
        if reader.coded:
            return Code(tuple(dict.fromkeys(reader.names)), _line(reader.texts), True)
    words = [word.decode() for word in _WORD.findall(data[: 1 << 20])]
    return Code(tuple(dict.fromkeys(words[:400])), _line([t.decode() for t in _TEXT.findall(data[: 1 << 20])]), False)


def _line(texts: list[str]) -> str:
    kept = list(dict.fromkeys(text for text in texts if text))
    return ", ".join(repr(text[:120]) for text in kept[:_SHOWN])


class _Reader:
    """One try at the bytes by one version's layout of code objects."""

    def __init__(self, data: bytes, fields: str, names: tuple[int, ...], constants: tuple[int, ...]) -> None:
        self._data, self._fields, self._named, self._constant = data, fields, names, constants
        self._place, self._items = 0, 0
        self._refs: list[Item] = []
        self._old: list[str] = []  # texts that Python 2 interned, by number
        self.names: list[str] = []
        self.texts: list[str] = []
        self.coded = False

    def _take(self, count: int) -> bytes:
        if count < 0 or self._place + count > len(self._data):
            raise _Broken
        self._place += count
        return self._data[self._place - count : self._place]

    def _int(self) -> int:
        return int(struct.unpack("<i", self._take(4))[0])

    def item(self, depth: int) -> Item:
        """Read one marshalled object."""
        self._items += 1
        if depth > _DEPTH or self._items > _ITEMS:
            raise _Broken
        byte = self._take(1)[0]
        kind, slot = chr(byte & 0x7F), -1
        if byte & 0x80:
            slot = len(self._refs)
            self._refs.append(None)
        value = self._of(kind, depth)
        if slot >= 0:
            self._refs[slot] = value
        return value

    def _of(self, kind: str, depth: int) -> Item:
        if kind in "0NTF.S":
            return None
        if kind in "iIfgxyl":
            return self._number(kind)
        if kind == "r":
            place = self._int()
            if not 0 <= place < len(self._refs):
                raise _Broken
            return self._refs[place]
        if kind == "R":
            return self._interned(self._int())
        if kind in "sutaAzZ":
            return self._string(kind)
        if kind in "()[<>{:":
            return self._many(kind, depth)
        if kind == "c":
            return self._code(depth)
        raise _Broken

    def _number(self, kind: str) -> Item:
        if kind == "i":
            return self._int()
        if kind == "l":
            self._take(2 * abs(self._int()))
        elif kind in "fx":
            for _ in range(1 if kind == "f" else 2):
                self._take(self._take(1)[0])
        else:
            self._take(16 if kind == "y" else 8)
        return None

    def _string(self, kind: str) -> Item:
        size = self._take(1)[0] if kind in "zZ" else self._int()
        raw = self._take(size)
        text = raw.decode("latin-1" if kind in "aAzZ" else "utf-8", "backslashreplace")
        if kind == "t":
            self._old.append(text)
        return raw if kind == "s" else text

    def _interned(self, place: int) -> Item:
        if not 0 <= place < len(self._old):
            raise _Broken
        return self._old[place]

    def _many(self, kind: str, depth: int) -> Item:
        found: list[Item] = []
        if kind == "{":
            while self._data[self._place : self._place + 1] != b"0":
                found += [self.item(depth + 1), self.item(depth + 1)]
            self._take(1)
            return found
        if kind == ":":
            return [self.item(depth + 1) for _ in range(3)]
        count = self._take(1)[0] if kind == ")" else self._int()
        if not 0 <= count <= len(self._data):
            raise _Broken
        found.extend(self.item(depth + 1) for _ in range(count))
        return found

    def _code(self, depth: int) -> Item:
        for index, field in enumerate(self._fields):
            if field == "i":
                self._int()
                continue
            value = self.item(depth + 1)
            if index in self._named:
                self.names.extend(self._texts(value))
            elif index in self._constant:
                self.texts.extend(self._texts(value))
        self.coded = True
        return None

    def _texts(self, value: Item) -> list[str]:
        """Collect the texts of a tuple of names or constants; no tuple means another layout."""
        if not isinstance(value, list):
            if isinstance(value, (str, bytes)):
                return []
            raise _Broken
        found: list[str] = []
        pending = list(reversed(value))
        while pending and len(found) < 1000:
            item = pending.pop()
            if isinstance(item, list):
                pending.extend(reversed(item))
            elif isinstance(item, bytes):
                found.append(item.decode("latin-1"))
            elif isinstance(item, str):
                found.append(item)
        return found
