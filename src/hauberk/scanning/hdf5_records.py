"""The records of an HDF5 file, read within bounds: superblock, object headers, heaps, B-trees of groups.

The HDF Group, HDF5 File Format Specification version 3.0; the section is named at each record.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_USER_BLOCKS = 24
_BLOCKS = 4_096
_LONGEST = 64 << 20


class BrokenHdf5(Exception):
    """A record is not where it is said to be, or not whole."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class Message(NamedTuple):
    """One message of an object header (IV.A): what kind, its bytes, where."""

    kind: int
    data: bytes
    offset: int
    shared: bool


class Entry(NamedTuple):
    """A member of an old group (III.C). soft: the path a symbolic link names, None for an object."""

    name: str
    header: int
    soft: str | None


class Records:
    """Reads the records of one file; widths of addresses and lengths come from its superblock."""

    def __init__(self, window: Window, watch: Watch) -> None:
        self._window, self._watch = window, watch
        self.base, self.wide, self.long = 0, 8, 8
        self.root = -1
        self.version = -1
        self.end = 0

    # II.A: the superblock

    def superblock(self) -> None:
        """Find and read the superblock, behind a user block where there is one; raises BrokenHdf5."""
        place = 0
        for step in range(_USER_BLOCKS):
            if self._window.at(place, 8) == SIGNATURE:
                self._superblock(place)
                return
            place = 512 << step
            if place >= self._window.size:
                break
        raise BrokenHdf5("there is no HDF5 signature", 0)

    def _superblock(self, place: int) -> None:
        head = self.take(place + 8, 16, "the superblock")
        self.version = head[0]
        if self.version in (0, 1):
            self.wide, self.long = head[5], head[6]
            skip = place + 24 + (4 if self.version == 1 else 0)
        elif self.version in (2, 3):
            self.wide, self.long = head[1], head[2]
            skip = place + 12
        else:
            raise BrokenHdf5(f"a superblock of the unknown version {self.version}", place)
        if self.wide not in (2, 4, 8) or self.long not in (2, 4, 8):
            raise BrokenHdf5(f"addresses of {self.wide} and lengths of {self.long} bytes", place)
        self.base = place
        addresses = [self._raw_address(skip + index * self.wide) for index in range(4)]
        self.end = addresses[2]
        if self.version < 2:
            self.root = self._raw_address(skip + 4 * self.wide + self.long)
        else:
            self.root = addresses[3]

    def _raw_address(self, place: int) -> int:
        return int.from_bytes(self.take(place, self.wide, "an address"), "little")

    # bytes

    def take(self, place: int, count: int, what: str) -> bytes:
        """Read exactly so many bytes; raises BrokenHdf5 where they are not there."""
        if place < 0 or count > _LONGEST or place + count > self._window.size:
            raise BrokenHdf5(f"{what} of {count} bytes lies outside the file", max(0, place))
        raw = self._window.at(place, count)
        if len(raw) < count:
            raise BrokenHdf5(f"{what} breaks off", place)
        return raw

    def at(self, address: int, count: int, what: str) -> bytes:
        """Read at an address, which counts from the superblock."""
        return self.take(self.base + address, count, what)

    def undefined(self, address: int) -> bool:
        """Tell the address that stands for none."""
        return address == (1 << (8 * self.wide)) - 1

    def address(self, raw: bytes, start: int) -> int:
        """Read an address out of bytes at hand."""
        return self._whole(raw, start, self.wide)

    def length(self, raw: bytes, start: int) -> int:
        """Read a length out of bytes at hand."""
        return self._whole(raw, start, self.long)

    def _whole(self, raw: bytes, start: int, width: int) -> int:
        if start + width > len(raw):
            raise BrokenHdf5("a message is too short for what it holds", 0)
        return int.from_bytes(raw[start : start + width], "little")

    # IV.A: object headers

    def messages(self, address: int) -> Iterator[Message]:
        """Yield the messages of the object header at an address, through its continuations; raises BrokenHdf5."""
        first = self.at(address, 4, "an object header")
        yield from self._new_header(address) if first == b"OHDR" else self._old_header(address, first)

    def _old_header(self, address: int, first: bytes) -> Iterator[Message]:
        if first[0] != 1:
            raise BrokenHdf5(f"no object header at {address}", self.base + address)
        head = self.at(address, 12, "an object header")
        blocks = [(address + 16, int.from_bytes(head[8:12], "little"))]
        seen = 0
        while blocks and seen < _BLOCKS:
            start, size = blocks.pop(0)
            seen += 1
            raw = self.at(start, size, "a block of messages")
            place = 0
            while place + 8 <= size:
                self._watch.tick()
                kind = int.from_bytes(raw[place : place + 2], "little")
                count = int.from_bytes(raw[place + 2 : place + 4], "little")
                data = raw[place + 8 : place + 8 + count]
                if len(data) < count:
                    raise BrokenHdf5("a message is longer than its block", self.base + start + place)
                if kind == 0x10:
                    blocks.append((self.address(data, 0), self.length(data, self.wide)))
                else:
                    yield Message(kind, data, self.base + start + place, bool(raw[place + 4] & 2))
                place += 8 + count

    def _new_header(self, address: int) -> Iterator[Message]:
        head = self.at(address, 6, "an object header")
        flags = head[5]
        place = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(self.at(place, width, "the size of an object header"), "little")
        blocks = [(place + width, size)]
        lead = 6 if flags & 4 else 4
        seen = 0
        while blocks and seen < _BLOCKS:
            start, size = blocks.pop(0)
            seen += 1
            raw = self.at(start, size, "a block of messages")
            place = 0
            while place + lead <= size:
                self._watch.tick()
                kind, count = raw[place], int.from_bytes(raw[place + 1 : place + 3], "little")
                data = raw[place + lead : place + lead + count]
                if len(data) < count:
                    raise BrokenHdf5("a message is longer than its block", self.base + start + place)
                if kind == 0x10:
                    block, long = self.address(data, 0), self.length(data, self.wide)
                    if self.at(block, 4, "a continuation") != b"OCHK" or long < 8:
                        raise BrokenHdf5("a continuation is not where it is said to be", self.base + block)
                    blocks.append((block + 4, long - 8))
                else:
                    yield Message(kind, data, self.base + start + place, bool(raw[place + 3] & 2))
                place += lead + count

    # III.A.1, III.B, III.C, III.D: old groups

    def old_group(self, tree: int, heap: int) -> Iterator[Entry]:
        """Yield the members of a group kept in a B-tree and a local heap; raises BrokenHdf5."""
        names = self.local_heap(heap)
        pending, seen = [tree], set[int]()
        while pending:
            node = pending.pop()
            if node in seen:
                raise BrokenHdf5("a B-tree that leads back to itself", self.base + node)
            seen.add(node)
            self._watch.tick()
            lead = self.at(node, 8 + 2 * self.wide, "a B-tree node")
            if lead[:4] == b"SNOD":
                yield from self._symbols(node, names)
                continue
            if lead[:4] != b"TREE" or lead[4] != 0:
                raise BrokenHdf5("a B-tree node is not where it is said to be", self.base + node)
            used = int.from_bytes(lead[6:8], "little")
            step = self.long + self.wide
            raw = self.at(node + 8 + 2 * self.wide, used * step + self.long, "a B-tree node")
            pending.extend(self.address(raw, index * step + self.long) for index in range(used))

    def _symbols(self, node: int, names: bytes) -> Iterator[Entry]:
        count = int.from_bytes(self.at(node, 8, "a symbol table")[6:8], "little")
        size = 2 * self.wide + 24
        raw = self.at(node + 8, count * size, "a symbol table")
        for index in range(count):
            self._watch.tick()
            entry = raw[index * size : (index + 1) * size]
            kind = int.from_bytes(entry[2 * self.wide : 2 * self.wide + 4], "little")
            soft = None
            if kind == 2:
                start = int.from_bytes(entry[2 * self.wide + 8 : 2 * self.wide + 12], "little")
                soft = terminated(names, start)
            yield Entry(terminated(names, self.address(entry, 0)), self.address(entry, self.wide), soft)

    def local_heap(self, address: int) -> bytes:
        """Read a heap of names (III.D)."""
        raw = self.at(address, 8 + 2 * self.long + self.wide, "a heap of names")
        if raw[:4] != b"HEAP":
            raise BrokenHdf5("a heap of names is not where it is said to be", self.base + address)
        size, data = self.length(raw, 8), self.address(raw, 8 + 2 * self.long)
        return self.at(data, size, "a heap of names")

    # III.E: the global heap

    def global_object(self, address: int, wanted: int) -> bytes:
        """Read one object of a collection in the global heap, where long texts and lists of sources lie."""
        head = self.at(address, 8 + self.long, "a global heap")
        if head[:4] != b"GCOL":
            raise BrokenHdf5("a global heap is not where it is said to be", self.base + address)
        size = self.length(head, 8)
        place = 8 + self.long
        while place + 8 + self.long <= size:
            self._watch.tick()
            lead = self.at(address + place, 8 + self.long, "an object of a global heap")
            index, count = int.from_bytes(lead[:2], "little"), self.length(lead, 8)
            if index == 0:
                break
            if index == wanted:
                return self.at(address + place + 8 + self.long, count, "an object of a global heap")
            place += 8 + self.long + -(-count // 8) * 8
        raise BrokenHdf5("a global heap lacks an object", self.base + address)


def terminated(raw: bytes, start: int) -> str:
    """Read a text up to its zero byte."""
    stop = raw.find(b"\x00", start)
    return raw[start : stop if stop >= 0 else len(raw)].decode("utf-8", "backslashreplace")
