"""Many links or attributes of one HDF5 object: a fractal heap holds them, and all of its blocks are read.

HDF5 File Format Specification 3.0, III.G. The B-tree beside it only sorts what the heap holds, so it is not needed:
what no index names is read too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hauberk.scanning.hdf5_records import BrokenHdf5, Records
from hauberk.scanning.watch import Watch

_BLOCKS = 20_000
_BLOCK = 64 << 20


class Block(NamedTuple):
    """A direct block: the bytes of managed objects, one after another and with holes, and where they begin."""

    data: bytes
    offset: int
    start: int


class FractalHeap(NamedTuple):
    """What the header of a heap says."""

    id_bytes: int
    filters: int
    width: int
    first: int
    largest: int
    bits: int
    root: int
    rows: int
    checked: bool
    objects: int
    huge: int
    tree: int


def read_heap(records: Records, address: int) -> FractalHeap:
    """Read a heap's header; raises BrokenHdf5."""
    long, wide = records.long, records.wide
    raw = records.at(address, 22 + 12 * long + 3 * wide, "a fractal heap")
    if raw[:4] != b"FRHP":
        raise BrokenHdf5("a fractal heap is not where it is said to be", records.base + address)
    place = 14 + long + wide + long + wide  # next huge id, its tree, free space, its manager
    place += 3 * long  # managed space, allocated, iterator
    objects = records.length(raw, place)
    place += long
    place += long  # size of huge objects
    huge = records.length(raw, place)
    place += 3 * long  # number of huge objects, size and number of tiny ones
    width = int.from_bytes(raw[place : place + 2], "little")
    first = records.length(raw, place + 2)
    largest = records.length(raw, place + 2 + long)
    place += 2 + 2 * long
    bits = int.from_bytes(raw[place : place + 2], "little")
    root = records.address(raw, place + 4)
    rows = int.from_bytes(raw[place + 4 + wide : place + 6 + wide], "little")
    filters = int.from_bytes(raw[7:9], "little")
    if not width or not first or first > _BLOCK or bits > 64:
        raise BrokenHdf5("a fractal heap with blocks of no sensible size", records.base + address)
    tree = records.address(raw, 14 + long)
    identity = int.from_bytes(raw[5:7], "little")
    return FractalHeap(
        identity, filters, width, first, largest, bits, root, rows, bool(raw[9] & 2), objects, huge, tree
    )


def blocks(records: Records, heap: FractalHeap, watch: Watch) -> Iterator[Block]:
    """Yield every direct block, in the order of the heap; raises BrokenHdf5."""
    if records.undefined(heap.root):
        return
    lead = 5 + records.wide + -(-heap.bits // 8) + (4 if heap.checked else 0)
    pending: list[tuple[int, int, int]] = [(heap.root, heap.rows, heap.first if not heap.rows else 0)]
    seen: set[int] = set()
    while pending:
        address, rows, size = pending.pop(0)
        watch.tick()
        if address in seen or len(seen) > _BLOCKS:
            raise BrokenHdf5("a fractal heap that leads back to itself", records.base + address)
        seen.add(address)
        if rows:
            pending.extend(_inner(records, heap, address, rows))
            continue
        raw = records.at(address, min(size, _BLOCK), "a block of a fractal heap")
        if raw[:4] != b"FHDB":
            raise BrokenHdf5("a block of a fractal heap is not where it is said to be", records.base + address)
        yield Block(raw, records.base + address, lead)


def _inner(records: Records, heap: FractalHeap, address: int, rows: int) -> list[tuple[int, int, int]]:
    """Read an indirect block: addresses of direct blocks, then of further indirect ones."""
    largest = max(0, (heap.largest.bit_length() - heap.first.bit_length())) + 2
    if rows > 64:
        raise BrokenHdf5("a fractal heap of too many rows", records.base + address)
    lead = 5 + records.wide + -(-heap.bits // 8)
    step = records.wide + (records.long + 4 if heap.filters else 0)
    direct = min(rows, largest)
    count = direct * heap.width
    size = count * step + (rows - direct) * heap.width * records.wide
    raw = records.at(address, lead + size, "an indirect block of a fractal heap")
    if raw[:4] != b"FHIB":
        raise BrokenHdf5("an indirect block is not where it is said to be", records.base + address)
    found: list[tuple[int, int, int]] = []
    for index in range(count):
        inner = records.address(raw, lead + index * step)
        row = index // heap.width
        if not records.undefined(inner):
            found.append((inner, 0, heap.first << max(0, row - 1)))
    for index in range((rows - direct) * heap.width):
        inner = records.address(raw, lead + count * step + index * records.wide)
        if not records.undefined(inner):
            row = direct + index // heap.width
            size_of_row = heap.first << (row - 1)
            inner_rows = (size_of_row.bit_length() - (heap.first * heap.width).bit_length()) + 1
            found.append((inner, max(1, inner_rows), 0))
    return found
