"""Rows of a table under a seal: a digest of each row beside it, digests of blocks of rows and their root in it."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from blake3 import blake3

from hauberk.crypto.merkle import Tree, leaf_hash
from hauberk.sealing.faults import Malformed

BLOCK = 4096
"""Rows of one block."""
DIGEST_BYTES = 16
"""Of one row: two rows are mistaken for each other with a chance of 2⁻¹²⁸; the file's own digests bind every byte."""
_MAGIC = b"HBKROWS1"
_HEAD = struct.Struct(">8sI")
MOST_ROWS = 1 << 32


class RowBlocks(msgspec.Struct, frozen=True):
    """The rows of one file. kind: how it is read. columns: a digest of its header. rows: how many. block: rows of one.

    root: of the Merkle tree (RFC 6962) over the blocks. blocks: BLAKE3 of the digests of a block's rows, hexadecimal.
    """

    kind: str
    columns: str
    rows: int
    block: int
    root: str
    blocks: tuple[str, ...]


class Rows(NamedTuple):
    """A file's rows as they were sealed. digests: (n,) of 16 bytes."""

    kind: str
    columns: str
    digests: np.ndarray


def blocks_of(rows: Rows, block: int = BLOCK) -> RowBlocks:
    """Digest the rows block by block."""
    raw, step = memoryview(rows.digests.tobytes()), block * DIGEST_BYTES
    found = [blake3(raw[start : start + step]).digest() for start in range(0, len(raw), step)]
    root = Tree(leaf_hash(one) for one in found).root()
    texts = tuple(one.hex() for one in found)
    return RowBlocks(rows.kind, rows.columns, len(rows.digests), block, root.hex(), texts)


def check(blocks: RowBlocks) -> None:
    """Hold a file's blocks to themselves; raises Malformed."""
    if not 0 < blocks.block <= MOST_ROWS or not 0 <= blocks.rows <= MOST_ROWS:
        raise Malformed("its blocks of rows have no sensible size")
    if len(blocks.blocks) != -(-blocks.rows // blocks.block):
        raise Malformed("its blocks of rows are not as many as its rows make")
    for text in (blocks.root, *blocks.blocks):
        if len(text) != 64 or text.strip("0123456789abcdef"):
            raise Malformed("a digest of rows is not lower-case hexadecimal of its length")
    if Tree(leaf_hash(bytes.fromhex(text)) for text in blocks.blocks).root().hex() != blocks.root:
        raise Malformed("the root of its rows is not that of its blocks")


def differing(old: RowBlocks, new: RowBlocks) -> list[tuple[int, int]]:
    """Return the ranges [start, end) of rows in which two tables differ, as far as blocks of one size can tell."""
    if old.block != new.block:
        return [(0, max(old.rows, new.rows))]
    ranges: list[tuple[int, int]] = []
    for index in range(max(len(old.blocks), len(new.blocks))):
        if old.blocks[index : index + 1] != new.blocks[index : index + 1]:
            start, end = index * old.block, min((index + 1) * old.block, max(old.rows, new.rows))
            if ranges and ranges[-1][1] == start:
                start = ranges.pop()[0]
            ranges.append((start, end))
    return ranges


def encode(tables: Mapping[str, Rows]) -> bytes:
    """Write the digests of the rows of several files."""
    names = sorted(tables)
    head = [{"name": name, "rows": len(tables[name].digests)} for name in names]
    body = json.dumps(head, ensure_ascii=False).encode()
    return b"".join([_HEAD.pack(_MAGIC, len(body)), body, *(tables[name].digests.tobytes() for name in names)])


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    rows: int


def decode(data: bytes, sealed: Mapping[str, RowBlocks]) -> dict[str, np.ndarray]:
    """Read digests of rows and hold them to the signed blocks; those that do not fit are left out. Raises Malformed."""
    if len(data) < _HEAD.size or not data.startswith(_MAGIC):
        raise Malformed("it is no list of rows")
    _, length = _HEAD.unpack_from(data)
    try:
        entries = msgspec.json.decode(data[_HEAD.size : _HEAD.size + length], type=tuple[_Entry, ...])
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise Malformed(f"its head cannot be read: {error}") from error
    place, found = _HEAD.size + length, {}
    for entry in entries:
        end = place + entry.rows * DIGEST_BYTES
        if entry.rows < 0 or end > len(data):
            raise Malformed("it ends too soon")
        digests = np.frombuffer(data, f"S{DIGEST_BYTES}", entry.rows, place)
        blocks = sealed.get(entry.name)
        if blocks is not None and blocks_of(Rows(blocks.kind, blocks.columns, digests), blocks.block) == blocks:
            found[entry.name] = digests
        place = end
    return found


def rows_file(seal: Path) -> Path:
    """Name the file of row digests beside a seal."""
    return seal.with_suffix(".rows")


def is_rows_file(path: Path) -> bool:
    """Say whether there is a list of row digests at a path."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def digested(rows: Iterable[bytes]) -> bytes:
    """Digest rows, one after the other."""
    return b"".join([blake3(row).digest(DIGEST_BYTES) for row in rows])


def as_array(parts: Sequence[bytes]) -> np.ndarray:
    """Join digests to an array (n,) of 16 bytes each."""
    return np.frombuffer(b"".join(parts), f"S{DIGEST_BYTES}")
