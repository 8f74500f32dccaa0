"""The two records a zip keeps of each member, in its central directory and before its data, with no opinion on either.

Layout: PKWARE APPNOTE.TXT 4.3.7 (local), 4.3.9 (descriptor), 4.3.12 (central), 4.3.14–4.3.16 (end records, zip64).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

ENCRYPTED, DESCRIPTOR = 1 << 0, 1 << 3
STRANGE = 1 << 5 | 1 << 6 | 1 << 13
"""Patched data, strong encryption, masked headers: some readers refuse them, others never look."""
FULL = 0xFFFFFFFF
LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_LOCAL, _CENTRAL, _END = struct.Struct("<4s5H3L2H"), struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s4H2LH")
_END64, _LOCATOR = struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
_TAIL = 65_557
_ENDS = 8
"""End records looked at in the tail; more make an archive of archives, read as such."""
_ZIP64, _UNICODE_PATH = 1, 0x7075


class Record(NamedTuple):
    """One record. offset: of the local header. data: offset of the packed bytes, -1 in a central record.

    alias: the name in an Info-ZIP Unicode path field, which some readers take instead.
    """

    where: Literal["central", "local"]
    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    data: int
    attributes: int = 0
    alias: str = ""


class Directory(NamedTuple):
    """One reading of the central directory. end: offset of its end record. start: of its first record.

    whole: it has as many records as announced. closes: the end record's comment reaches exactly to the end of the file.
    """

    end: int
    start: int
    records: tuple[Record, ...]
    whole: bool
    closes: bool


class _Place(NamedTuple):
    start: int
    stop: int
    shift: int
    members: int


def has_end(window: Window) -> bool:
    """Say whether there is an end record in the tail, wherever the archive begins."""
    return bool(_ends(window))


def _ends(window: Window) -> list[int]:
    """List the offsets of end records, the last first."""
    begin = max(0, window.size - _TAIL)
    tail = window.at(begin, _TAIL)
    found: list[int] = []
    place = tail.rfind(END)
    while place >= 0 and len(found) < _ENDS:
        if len(tail) - place >= _END.size:
            found.append(begin + place)
        place = tail.rfind(END, 0, place + 3)
    return found


def directories(window: Window, watch: Watch, most: int) -> list[Directory]:
    """Read the central directory in every way a reader might, the way of Python's zipfile first; none where none is.

    Readers differ on which end record counts, on whether a zip64 record overrides it, and on whether offsets count
    from the beginning of the file (miniz, and so torch) or of the archive (zipfile). most: records of each.
    """
    found: dict[tuple[int, int], Directory] = {}
    for end in _ends(window):
        comment = int.from_bytes(window.at(end + 20, 2), "little")
        for place in _places(window, end):
            key = (place.start, place.shift)
            if key in found:
                continue
            records = tuple(_central(window, watch, place, most + 1))
            if records or (place.members == 0 and place.start == place.stop):
                whole = len(records) in (place.members, place.members + (len(records) & ~0xFFFF)) or len(records) > most
                closes = end + _END.size + comment == window.size
                found[key] = Directory(end, place.start, records, whole, closes)
    return list(found.values())


def _places(window: Window, end: int) -> Iterator[_Place]:
    """Yield where the directory of an end record may lie: by its size before the record, or at its plain offset."""
    _, _, _, _, count, size, offset, _ = _END.unpack(window.at(end, _END.size))
    for place, wide_count, wide_size, wide_offset in _wide(window, end):
        yield from _two_ways(place, wide_count, wide_size, wide_offset)
    if FULL not in (size, offset):
        yield from _two_ways(end, count, size, offset)


def _two_ways(stop: int, count: int, size: int, offset: int) -> Iterator[_Place]:
    shift = stop - size - offset
    if shift >= 0:
        yield _Place(offset + shift, stop, shift, count)
    if shift and offset + size <= stop:
        yield _Place(offset, offset + size, 0, count)
    elif shift < 0 and offset < stop:
        yield _Place(offset, stop, 0, count)


def _wide(window: Window, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield place, count, size and offset of the zip64 end records that belong to an end record."""
    raw = window.at(end - _LOCATOR.size, _LOCATOR.size) if end >= _LOCATOR.size else b""
    if raw[:4] != b"PK\x06\x07":
        return
    near = end - _LOCATOR.size - _END64.size
    for place in dict.fromkeys((near, _LOCATOR.unpack(raw)[2])):
        record = window.at(place, _END64.size) if 0 <= place <= window.size else b""
        if len(record) == _END64.size and record[:4] == b"PK\x06\x06":
            fields = _END64.unpack(record)
            yield place, fields[7], fields[8], fields[9]


def _central(window: Window, watch: Watch, place: _Place, most: int) -> Iterator[Record]:
    start = place.start
    while start + _CENTRAL.size <= place.stop and most > 0:
        raw = window.at(start, _CENTRAL.size)
        if len(raw) < _CENTRAL.size or raw[:4] != CENTRAL:
            return
        watch.tick()
        most -= 1
        fields = _CENTRAL.unpack(raw)
        flags, method, crc, packed, size = fields[3], fields[4], fields[7], fields[8], fields[9]
        name_size, extra_size, comment_size, attributes, offset = *fields[10:13], fields[15], fields[16]
        rest = window.at(start + _CENTRAL.size, name_size + extra_size)
        extra = _Extra(rest[name_size:], [size, packed, offset])
        size, packed, offset = extra.values
        name = _name(rest[:name_size])
        yield Record(
            "central", name, flags, method, crc, packed, size, offset + place.shift, -1, attributes, extra.alias
        )
        start += _CENTRAL.size + name_size + extra_size + comment_size


def local_record(window: Window, offset: int) -> Record | None:
    """Read the local header at `offset`; None where there is none."""
    raw = window.at(offset, _LOCAL.size) if 0 <= offset < window.size else b""
    if len(raw) < _LOCAL.size or raw[:4] != LOCAL:
        return None
    _, _, flags, method, _, _, crc, packed, size, name_size, extra_size = _LOCAL.unpack(raw)
    rest = window.at(offset + _LOCAL.size, name_size + extra_size)
    extra = _Extra(rest[name_size:], [size, packed])
    size, packed = extra.values
    data = offset + _LOCAL.size + name_size + extra_size
    return Record("local", _name(rest[:name_size]), flags, method, crc, packed, size, offset, data, 0, extra.alias)


def descriptor_agrees(window: Window, record: Record, stop: int) -> bool:
    """Hold the data descriptor after a member's bytes, in any of its four layouts, against the central record."""
    raw = window.at(stop, 24)
    if raw[:4] == b"PK\x07\x08":
        raw = raw[4:]
    short = struct.pack("<LLL", record.crc, record.packed & FULL, record.size & FULL)
    wide = struct.pack("<LQQ", record.crc, record.packed, record.size)
    return raw.startswith((short, wide))


class _Extra:
    """The extra fields of a record: full 32-bit values widened to 64 bits, in their order, and a Unicode name."""

    def __init__(self, raw: bytes, values: list[int]) -> None:
        self.values, self.alias = values, ""
        position = 0
        while position + 4 <= len(raw):
            kind, length = struct.unpack_from("<HH", raw, position)
            field = raw[position + 4 : position + 4 + length]
            if kind == _ZIP64:
                self._widen(field)
            elif kind == _UNICODE_PATH and len(field) > 5:
                self.alias = field[5:].decode("utf-8", "backslashreplace")
            position += 4 + length

    def _widen(self, wide: bytes) -> None:
        for index, value in enumerate(self.values):
            if value == FULL and len(wide) >= 8:
                self.values[index], wide = struct.unpack_from("<Q", wide)[0], wide[8:]


def _name(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp437")
