"""The values of HDF5 data sets that may hold any bytes: opaque, text, sequences of bytes; numbers are passed over.

The HDF Group, HDF5 File Format Specification version 3.0, IV.A.2: dataspace (B), datatype (D), layout (I).
"""

from __future__ import annotations

from collections.abc import Iterator

from hauberk.scanning.hdf5_messages import (
    DATASPACE,
    DATATYPE,
    INTEGER,
    LAYOUT,
    OPAQUE,
    VARIABLE,
    elements,
    held,
)
from hauberk.scanning.hdf5_records import Message, Records
from hauberk.scanning.window import Window

MOST_BYTES = 64 << 20
"""Of one data set's values."""
_COMPACT, _CONTIGUOUS = 0, 1
_HEAP = b"GCOL"
_SWEPT = 256 << 20
_STEP = 1 << 20


class Unread(Exception):
    """Values that may hold any bytes lie in chunks, which are not followed. in_heaps: they can be found in heaps."""

    def __init__(self, *, in_heaps: bool) -> None:
        super().__init__()
        self.in_heaps = in_heaps


def values(records: Records, messages: list[Message]) -> tuple[bytes, ...]:
    """Read a data set's values where they may hold any bytes; raises BrokenHdf5, Unread."""
    parts = {one.kind: one.data for one in messages if not one.shared}
    datatype, space, layout = (parts.get(kind, b"") for kind in (DATATYPE, DATASPACE, LAYOUT))
    if len(datatype) < 8 or len(space) < 4 or len(layout) < 4 or not _any_bytes(datatype):
        return ()
    count, width = elements(records, space), int.from_bytes(datatype[4:8], "little")
    data = _stored(records, layout, count * width, datatype)
    return held(records, datatype, data, count)


def _any_bytes(datatype: bytes) -> bool:
    """Tell classes that hold objects: of plain bytes only a row of them, since images are made of these too."""
    kind = datatype[0] & 15
    if kind == VARIABLE:
        return datatype[1] & 15 == 1 or int.from_bytes(datatype[12:16], "little") == 1
    return kind == OPAQUE or (kind == INTEGER and int.from_bytes(datatype[4:8], "little") == 1) or kind == 3


def _stored(records: Records, layout: bytes, size: int, datatype: bytes) -> bytes:
    """Return the stored bytes; of raw single bytes and fixed text only what lies in one piece."""
    version = layout[0]
    kind = layout[1] if version >= 3 else layout[2]
    if kind == _COMPACT:
        start, length = (4, int.from_bytes(layout[2:4], "little")) if version >= 3 else (len(layout) - size, size)
        return layout[start : start + length]
    if kind == _CONTIGUOUS:
        address = records.address(layout, 2 if version >= 3 else 8)
        if records.undefined(address):
            return b""
        if size > MOST_BYTES:
            if datatype[0] & 15 in (OPAQUE, VARIABLE):
                raise Unread(in_heaps=datatype[0] & 15 == VARIABLE)
            size = 1 << 16
        return records.at(address, size, "a data set's values")
    if datatype[0] & 15 in (OPAQUE, VARIABLE):
        raise Unread(in_heaps=datatype[0] & 15 == VARIABLE)
    return b""


def heap_objects(records: Records, window: Window) -> Iterator[bytes]:
    """Find the objects of every global heap (III.E) in the bytes: sequences of chunked data sets point there."""
    for start in range(0, min(window.size, _SWEPT), _STEP):
        block = window.at(start, _STEP + len(_HEAP) - 1)
        place = block.find(_HEAP)
        while place >= 0:
            yield from _collection(records, window, start + place)
            place = block.find(_HEAP, place + 1)


def _collection(records: Records, window: Window, start: int) -> Iterator[bytes]:
    lead = window.at(start, 8 + records.long)
    total = int.from_bytes(lead[8:], "little")
    if len(lead) < 8 + records.long or lead[4] != 1 or total > MOST_BYTES or start + total > window.size:
        return
    raw, place = window.at(start, total), 8 + records.long
    while place + 8 + records.long <= total:
        size = int.from_bytes(raw[place + 8 : place + 8 + records.long], "little")
        if not int.from_bytes(raw[place : place + 2], "little"):
            return
        place += 8 + records.long
        yield raw[place : place + size]
        place += -(-size // 8) * 8
