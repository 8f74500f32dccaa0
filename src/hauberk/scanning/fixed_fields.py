"""Numbers and texts of fixed layout, read one after another from a window; what leads beyond its end is broken."""

from __future__ import annotations

import struct

from hauberk.scanning.window import Window


class BrokenLayout(Exception):
    """The bytes are not laid out so. offset: where they stop being so."""

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(what)
        self.offset = offset


class Fields:
    """A reading position. place: its offset."""

    def __init__(self, window: Window, place: int = 0) -> None:
        self._window, self.place = window, place

    @property
    def left(self) -> int:
        """Bytes between the position and the end."""
        return self._window.size - self.place

    def take(self, count: int, what: str) -> bytes:
        """Return the next bytes; raises BrokenLayout where there are fewer."""
        if not 0 <= count <= self.left:
            raise BrokenLayout(f"{what} of {count} bytes where {max(0, self.left)} are left", self.place)
        raw = self._window.at(self.place, count)
        self.place += count
        return raw

    def numbers(self, form: str, what: str) -> tuple[int, ...]:
        """Return the next numbers of a struct format; raises BrokenLayout."""
        values: tuple[int, ...] = struct.unpack(form, self.take(struct.calcsize(form), what))
        return values

    def skip(self, count: int, what: str) -> tuple[int, int]:
        """Pass over bytes and return where they begin and end; raises BrokenLayout where there are fewer."""
        start = self.place
        if not 0 <= count <= self.left:
            raise BrokenLayout(f"{what} of {count} bytes where {max(0, self.left)} are left", start)
        self.place += count
        return start, self.place
