"""A Merkle root over blocks of rows, so that two versions of a data set can be compared block by block."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hauberk.core.tables import Batch
from hauberk.crypto.merkle import Frontier, leaf_hash
from hauberk.scanning.tables.sampling import joined

if TYPE_CHECKING:
    from hauberk.core.protocols import Floats

ROWS = 1 << 16
"""Rows of a block; part of what the root means."""


class Blocks:
    """Cuts a stream into blocks of ROWS rows, whatever its batches, and hashes each in one written form.

    A block: for each column in order its name, a letter for its kind, which rows have a value (packed bits), and the
    values: numbers as little-endian float64 or int64, booleans as bytes, everything else as UTF-8 text with lengths.
    """

    def __init__(self) -> None:
        self.tree = Frontier()
        self._frames: list[pl.DataFrame] = []
        self._vectors: list[Floats] = []
        self._held = 0

    def add(self, batch: Batch) -> None:
        """Add a batch."""
        start = 0
        while start < len(batch.frame):
            count = min(ROWS - self._held, len(batch.frame) - start)
            self._frames.append(batch.frame.slice(start, count))
            if batch.vectors is not None:
                self._vectors.append(batch.vectors[start : start + count])
            start += count
            self._held += count
            if self._held == ROWS:
                self._close()

    def _close(self) -> None:
        block, frame = hashlib.sha256(), joined(self._frames)
        for series in frame.get_columns():
            block.update(f"{series.name}\0{len(series)}\0".encode())
            for part in written(series):
                block.update(part)
        if self._vectors:
            block.update(np.concatenate(self._vectors).astype("<f4").tobytes())
        self.tree.push(leaf_hash(block.digest()))
        self._frames, self._vectors, self._held = [], [], 0

    def root(self) -> str:
        """Return "merkle:…" over all blocks; call once, at the end."""
        if self._held:
            self._close()
        return "merkle:" + self.tree.root().hex()


def written(series: pl.Series) -> tuple[bytes, ...]:
    """Write a column's values in the one form that is hashed."""
    there = np.packbits(series.is_not_null().to_numpy()).tobytes()
    kind = series.dtype
    if kind.is_integer() and kind != pl.UInt64:
        return b"i", there, series.fill_null(0).cast(pl.Int64).to_numpy().astype("<i8").tobytes()
    if kind == pl.UInt64:
        return b"u", there, series.fill_null(0).to_numpy().astype("<u8").tobytes()
    if kind.is_float():
        return b"f", there, series.fill_null(0.0).cast(pl.Float64).to_numpy().astype("<f8").tobytes()
    if kind == pl.Boolean:
        return b"b", there, series.fill_null(value=False).to_numpy().astype("u1").tobytes()
    texts = series.cast(pl.String, strict=False) if kind != pl.Binary else series.bin.encode("hex")
    lengths = texts.str.len_bytes().fill_null(0).to_numpy().astype("<u4").tobytes()
    return b"s", there, lengths, texts.fill_null("").str.join("").item().encode()
