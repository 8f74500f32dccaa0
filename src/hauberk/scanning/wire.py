"""Protobuf's wire format, read field by field from a window: nothing is copied that is not asked for.

Encoding: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Field(NamedTuple):
    """One field. value: of a varint. start, stop: the offsets of its bytes."""

    number: int
    kind: int
    value: int
    start: int
    stop: int


class BrokenWire(Exception):
    """The bytes are no protobuf message. offset: where they stop being one."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"no protobuf field at byte {offset}")
        self.offset = offset


def fields(window: Window, start: int, stop: int, watch: Watch) -> Iterator[Field]:
    """Yield the fields of the message between two offsets; raises BrokenWire, LimitExceeded."""
    while start < stop:
        watch.tick()
        tag, place = _varint(window, start, stop)
        number, kind = tag >> 3, tag & 7
        value, end = 0, place
        if kind == VARINT:
            value, end = _varint(window, place, stop)
        elif kind == BYTES:
            size, place = _varint(window, place, stop)
            end = place + size
        elif kind in (FIXED64, FIXED32):
            end = place + (8 if kind == FIXED64 else 4)
        else:
            raise BrokenWire(start)
        if number == 0 or end > stop:
            raise BrokenWire(start)
        yield Field(number, kind, value, place, end)
        start = end


def _varint(window: Window, start: int, stop: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(window.at(start, min(10, stop - start))):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, start + index + 1
    raise BrokenWire(start)


def text(window: Window, field: Field, cap: int = 1 << 16) -> str:
    """Read a field's bytes as text, at most `cap` of them."""
    return window.at(field.start, min(cap, field.stop - field.start)).decode("utf-8", "backslashreplace")


def varints(window: Window, field: Field, cap: int) -> list[int]:
    """Read a packed run of numbers, at most `cap` and one more; raises BrokenWire."""
    found, place = list[int](), field.start
    while place < field.stop and len(found) <= cap:
        value, place = _varint(window, place, field.stop)
        found.append(value)
    return found
