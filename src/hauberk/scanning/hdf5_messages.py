"""What the messages of an HDF5 object say: links, attributes, outside storage, virtual sources, filters.

The HDF Group, HDF5 File Format Specification version 3.0, IV.A.2; the letter is named at each message.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hauberk.scanning.hdf5_records import BrokenHdf5, Records, terminated
from hauberk.scanning.watch import Watch

LINK_INFO, LINK, EXTERNAL_FILES, LAYOUT, FILTERS, ATTRIBUTE, SYMBOL_TABLE, ATTRIBUTE_INFO = (
    0x02, 0x06, 0x07, 0x08, 0x0B, 0x0C, 0x11, 0x15,
)  # fmt: skip
HARD, SOFT, EXTERNAL = 0, 1, 64
DATASPACE, DATATYPE = 0x01, 0x03
INTEGER, FIXED_TEXT, OPAQUE, VARIABLE = 0, 3, 5, 9
"""Classes of a datatype message (D)."""
_OBJECTS = 2_000
_TEXT = 64 << 20
_SOURCES = 10_000


class Link(NamedTuple):
    """A link of a new group. kind: hard, soft, external or one of a user's own; header: of a hard link's object."""

    name: str
    kind: int
    header: int
    value: str
    stop: int


class Attribute(NamedTuple):
    """An attribute and its text, None where it is no text; more than one element are joined by line feeds.

    data: the bytes themselves where they are fixed text, opaque or bytes of any length, one object an element.
    """

    name: str
    text: str | None
    stop: int
    data: tuple[bytes, ...] = ()


def link(records: Records, raw: bytes, start: int = 0) -> Link:
    """Read a link (G); raises BrokenHdf5."""
    head = raw[start : start + 2]
    if len(head) < 2 or head[0] != 1 or head[1] & 0xE0:
        raise BrokenHdf5("a link of an unknown version", start)
    flags, place = head[1], start + 2
    kind = HARD
    if flags & 8:
        kind, place = _byte(raw, place), place + 1
    place += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    width = 1 << (flags & 3)
    size = int.from_bytes(raw[place : place + width], "little")
    place += width
    name = raw[place : place + size]
    place += size
    if not name or len(name) < size:
        raise BrokenHdf5("a link without a whole name", start)
    label = name.decode("utf-8", "backslashreplace")
    if kind == HARD:
        return Link(label, kind, records.address(raw, place), "", place + records.wide)
    count = int.from_bytes(raw[place : place + 2], "little")
    value = raw[place + 2 : place + 2 + count]
    if len(value) < count:
        raise BrokenHdf5("a link without a whole value", start)
    if kind == EXTERNAL:
        file, inside = terminated(value, 1), terminated(value, value.find(b"\x00", 1) + 1)
        shown = f"{file}:{inside}"
    else:
        shown = value.decode("utf-8", "backslashreplace")
    return Link(label, kind, -1, shown, place + 2 + count)


def attribute(records: Records, raw: bytes, start: int = 0) -> Attribute:
    """Read an attribute (M) whose data is text, fixed or of any length; raises BrokenHdf5."""
    version = _byte(raw, start)
    if version not in (1, 2, 3):
        raise BrokenHdf5("an attribute of an unknown version", start)
    flags = _byte(raw, start + 1)
    sizes = [int.from_bytes(raw[start + 2 + 2 * i : start + 4 + 2 * i], "little") for i in range(3)]
    place = start + (9 if version == 3 else 8)
    padded = [-(-size // 8) * 8 if version == 1 else size for size in sizes]
    name = terminated(raw[place : place + sizes[0]], 0)
    if sizes[0] == 0 or place + sum(padded) > len(raw):
        raise BrokenHdf5("an attribute that is not whole", start)
    datatype = raw[place + padded[0] : place + padded[0] + sizes[1]]
    space = raw[place + padded[0] + padded[1] : place + sum(padded)]
    place += sum(padded)
    if flags & 3:  # its type or space is kept elsewhere: passed over, the text sweep sees it
        return Attribute(name, None, len(raw))
    kind, width = _byte(datatype, 0) & 15, int.from_bytes(datatype[4:8], "little")
    count = elements(records, space)
    stop = place + count * width
    if stop > len(raw):
        raise BrokenHdf5("an attribute that is longer than its message", start)
    data = raw[place:stop]
    if kind == 3:
        texts = [data[i * width : (i + 1) * width].rstrip(b"\x00 ") for i in range(min(count, 10_000))] if width else []
        return Attribute(name, _joined(texts), stop, tuple(texts[:_OBJECTS]))
    if kind == VARIABLE and datatype[1] & 15 == 1:
        texts = _long_texts(records, data, count)
        return Attribute(name, _joined(texts), stop, tuple(texts[:_OBJECTS]))
    return Attribute(name, None, stop, held(records, datatype, data, count)[:_OBJECTS])


def held(records: Records, datatype: bytes, data: bytes, count: int) -> tuple[bytes, ...]:
    """Take apart values that may hold any bytes: fixed text, opaque, sequences of single bytes; none of numbers."""
    kind, width = _byte(datatype, 0) & 15, int.from_bytes(datatype[4:8], "little")
    if kind == VARIABLE and (datatype[1] & 15 == 1 or int.from_bytes(datatype[12:16], "little") == 1):
        return tuple(_long_texts(records, data, count))
    if kind in (FIXED_TEXT, OPAQUE) and width:
        return tuple(data[i * width : (i + 1) * width] for i in range(min(count, 2_000)))
    if kind == INTEGER and width == 1:
        return (data,)
    return ()


def _joined(texts: list[bytes]) -> str:
    return b"\n".join(texts)[:_TEXT].decode("utf-8", "backslashreplace")


def _long_texts(records: Records, data: bytes, count: int) -> list[bytes]:
    step = 8 + records.wide
    found: list[bytes] = []
    for index in range(min(count, 2_000)):
        one = data[index * step : (index + 1) * step]
        if len(one) < step or not int.from_bytes(one[:4], "little"):
            continue
        where = records.address(one, 4)
        found.append(records.global_object(where, int.from_bytes(one[4 + records.wide : 8 + records.wide], "little")))
    return found


def elements(records: Records, space: bytes) -> int:
    """Count the elements of a dataspace (B)."""
    version, dimensions = _byte(space, 0), _byte(space, 1)
    if version == 2 and _byte(space, 3) == 2:
        return 0
    place = 8 if version == 1 else 4
    count = 1
    for index in range(min(dimensions, 32)):
        count *= records.length(space, place + index * records.long)
    return min(count, 1 << 40)


def external_files(records: Records, raw: bytes) -> Iterator[str]:
    """Yield the names of files that hold a data set's bytes (H); raises BrokenHdf5."""
    used = int.from_bytes(raw[6:8], "little")
    names = records.local_heap(records.address(raw, 8))
    for index in range(used):
        yield terminated(names, records.length(raw, 8 + records.wide + index * 3 * records.long))


def virtual_sources(records: Records, raw: bytes, watch: Watch) -> Iterator[str]:
    """Yield the files that a virtual data set (I, class 3) is put together from; raises BrokenHdf5."""
    if len(raw) < 2 or raw[0] not in (4, 5) or raw[1] != 3:
        return
    address = records.address(raw, 2)
    if records.undefined(address):
        return
    index = int.from_bytes(raw[2 + records.wide : 6 + records.wide], "little")
    listed = records.global_object(address, index)
    yield from _file_names(records, listed, watch)


def _file_names(records: Records, listed: bytes, watch: Watch) -> Iterator[str]:
    """Read the names in a list of mappings (VII.A); selections have many forms, so behind the first sweep for more."""
    entries = records.length(listed, 1)
    place = 1 + records.long
    if not entries:
        return
    first = terminated(listed, place)
    yield first
    for text in listed[place:].split(b"\x00")[1:_SOURCES]:
        watch.tick()
        if len(text) > 3 and text.isascii() and text.decode().isprintable() and (b"." in text or b"/" in text):
            yield text.decode()


def filters(raw: bytes) -> Iterator[tuple[int, str]]:
    """Yield number and name of each filter (L)."""
    if len(raw) < 2 or raw[0] not in (1, 2):
        return
    version, count = raw[0], raw[1]
    place = 8 if version == 1 else 2
    for _ in range(count):
        if place + 8 > len(raw):
            return
        number = int.from_bytes(raw[place : place + 2], "little")
        named = version == 1 or number >= 256
        size = int.from_bytes(raw[place + 2 : place + 4], "little") if named else 0
        place += 4 if named else 2
        values = int.from_bytes(raw[place + 2 : place + 4], "little")
        place += 4
        name = terminated(raw[place : place + size], 0) if size else ""
        place += (-(-size // 8) * 8 if version == 1 else size) + 4 * values
        place += 4 if version == 1 and values % 2 else 0
        yield number, name


def _byte(raw: bytes, place: int) -> int:
    if place >= len(raw):
        raise BrokenHdf5("a message is too short for what it holds", place)
    return raw[place]
