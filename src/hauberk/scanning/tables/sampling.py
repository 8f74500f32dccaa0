"""A fair sample of rows that is the same whatever the batches' sizes: those with the smallest hash of their id."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from hauberk.core.tables import Batch
from hauberk.scanning.tables.distinct import mixed

if TYPE_CHECKING:
    from hauberk.core.protocols import Floats


class Sample(NamedTuple):
    """Rows in the order of their ids.

    ids: (n,). frame: their columns. vectors: (n, d) or None. whole: it is all rows.
    """

    ids: np.ndarray
    frame: pl.DataFrame
    vectors: Floats | None
    whole: bool


class Sampler:
    """Keeps at most `most` rows over a stream."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._keys: list[np.ndarray] = []
        self._ids: list[np.ndarray] = []
        self._frames: list[pl.DataFrame] = []
        self._vectors: list[Floats] = []
        self._top = np.uint64(0xFFFFFFFFFFFFFFFF)
        self._held = self._seen = 0

    def add(self, batch: Batch, frame: pl.DataFrame) -> None:
        """Offer a batch's rows; frame: its columns as they are to be kept."""
        ids = np.arange(batch.first, batch.first + len(frame))
        self._seen += len(ids)
        keys = mixed(ids.astype(np.uint64))
        kept = np.flatnonzero(keys <= self._top)
        if not len(kept):
            return
        whole = len(kept) == len(ids)
        self._keys.append(keys[kept])
        self._ids.append(ids[kept])
        self._frames.append(frame if whole else frame[kept])
        if batch.vectors is not None:
            self._vectors.append(batch.vectors if whole else batch.vectors[kept])
        self._held += len(kept)
        if self._held > 2 * self._most:
            self._shrink()

    def _shrink(self) -> None:
        keys = np.concatenate(self._keys)
        kept = np.sort(np.argpartition(keys, self._most)[: self._most])
        ids, frame = np.concatenate(self._ids)[kept], joined(self._frames)[kept]
        self._top = keys[kept].max()
        self._keys, self._ids, self._frames = [keys[kept]], [ids], [frame]
        self._vectors = [np.concatenate(self._vectors)[kept]] if self._vectors else []
        self._held = len(kept)

    def result(self) -> Sample:
        """Return the sample."""
        if self._held > self._most:
            self._shrink()
        if not self._ids:
            return Sample(np.zeros(0, np.int64), pl.DataFrame(), None, whole=True)
        vectors = np.concatenate(self._vectors) if self._vectors else None
        return Sample(np.concatenate(self._ids), joined(self._frames), vectors, whole=self._held == self._seen)


def joined(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Put frames below each other; a column that some lack, or that changes its type, is filled or made text."""
    if len(frames) == 1:
        return frames[0]
    return pl.concat(frames, how="diagonal_relaxed")
