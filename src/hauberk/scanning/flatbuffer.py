"""FlatBuffers read by offset from a window: every offset is held against the file before it is followed.

Format: flatbuffers.dev, "FlatBuffer Internals".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

_TEXT = 4096


class BrokenFlat(Exception):
    """An offset or length leads out of the file. offset: where it stands."""

    def __init__(self, offset: int, what: str) -> None:
        super().__init__(f"{what} at byte {offset} leads out of the file")
        self.offset = offset


class Table:
    """One table: its fields by number, absent ones as None or nothing."""

    __slots__ = ("_fields", "_flat", "place")

    def __init__(self, flat: Flat, place: int) -> None:
        self._flat, self.place = flat, place
        vtable = place - flat.number(place, "<i")
        size = flat.number(vtable, "<H")
        if size < 4 or size % 2 or vtable + size > flat.size:
            raise BrokenFlat(place, "a table's list of fields")
        self._fields = struct.unpack(f"<{size // 2 - 2}H", flat.bytes(vtable + 4, size - 4))

    def at(self, field: int) -> int | None:
        """Return the offset of a field's value, None where the table lacks it."""
        offset = self._fields[field] if field < len(self._fields) else 0
        return self.place + offset if offset else None

    def number(self, field: int, code: str, default: int = 0) -> int:
        """Read a scalar, by its struct code such as "<I"."""
        place = self.at(field)
        return default if place is None else self._flat.number(place, code)

    def text(self, field: int) -> str:
        """Read a string, shortened."""
        span = self.span(field)
        return self._flat.text(span[0], span[1] - span[0]) if span else ""

    def span(self, field: int, width: int = 1) -> tuple[int, int] | None:
        """Return start and stop of a vector's elements of that width."""
        place = self.at(field)
        return None if place is None else self._flat.vector(self._flat.follow(place), width)

    def table(self, field: int) -> Table | None:
        """Enter a nested table."""
        place = self.at(field)
        return None if place is None else Table(self._flat, self._flat.follow(place))

    def tables(self, field: int) -> Iterator[Table]:
        """Enter each table of a vector."""
        span = self.span(field, 4)
        for place in range(*span, 4) if span else ():
            self._flat.watch.tick()
            yield Table(self._flat, self._flat.follow(place))

    def texts(self, field: int) -> Iterator[str]:
        """Read each string of a vector."""
        span = self.span(field, 4)
        for place in range(*span, 4) if span else ():
            self._flat.watch.tick()
            start, stop = self._flat.vector(self._flat.follow(place), 1)
            yield self._flat.text(start, stop - start)


class Flat:
    """A buffer; `size` is the file's."""

    def __init__(self, window: Window, watch: Watch) -> None:
        self._window, self.watch, self.size = window, watch, window.size

    def root(self) -> Table:
        """Enter the root table; raises BrokenFlat, as all reading does."""
        return Table(self, self.follow(0))

    def bytes(self, place: int, count: int) -> bytes:
        """Read exactly so many bytes."""
        data = self._window.at(place, count) if 0 <= place <= self.size - count else b""
        if len(data) != count:
            raise BrokenFlat(place, "a value")
        return data

    def number(self, place: int, code: str) -> int:
        """Read one integer."""
        return int(struct.unpack(code, self.bytes(place, struct.calcsize(code)))[0])

    def follow(self, place: int) -> int:
        """Follow the offset that stands there; it only leads forward, so that no table holds itself."""
        target = place + self.number(place, "<I")
        if target <= place or target > self.size - 4:
            raise BrokenFlat(place, "an offset")
        return target

    def vector(self, place: int, width: int) -> tuple[int, int]:
        """Return start and stop of a vector's elements."""
        count = self.number(place, "<I")
        stop = place + 4 + count * width
        if stop > self.size:
            raise BrokenFlat(place, f"a list of {count}")
        return place + 4, stop

    def text(self, start: int, length: int) -> str:
        """Read text, shortened."""
        return self.bytes(start, min(length, _TEXT)).decode("utf-8", "backslashreplace")
