"""Gather a count and the first ids of rows over batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hauberk.core.tables import FIRST, Rows

if TYPE_CHECKING:
    import numpy as np
    import polars as pl


class Gathered:
    """How many rows so far, and the ids of the first of them; of all where `most` is large."""

    def __init__(self, most: int = FIRST) -> None:
        self.count, self._most = 0, most
        self._first: list[int] = []

    def add(self, count: int, mask: pl.Series | None, first: int) -> None:
        """Add rows of one batch that begins at row `first`; mask: which they are, needed while ids are wanted."""
        self.count += count
        left = self._most - len(self._first)
        if count and left > 0 and mask is not None:
            self._first += [first + int(i) for i in mask.fill_null(value=False).arg_true().head(left).to_list()]

    @property
    def wants(self) -> bool:
        """Say whether ids are still wanted."""
        return len(self._first) < self._most

    def rows(self) -> Rows:
        """Return what was gathered."""
        return Rows(count=self.count, first=tuple(self._first))


def rows_of(ids: np.ndarray) -> Rows:
    """Make a record of row ids, in order."""
    return Rows(count=len(ids), first=tuple(int(row) for row in sorted(ids.tolist())[:FIRST]))
