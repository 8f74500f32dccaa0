"""Count different values and find repeats over a stream, exactly while they fit, by a fair share of values beyond."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from hauberk.core.tables import FIRST

MOST = 1 << 25
"""Values kept at once: 16 bytes each with their rows, so about half a gigabyte at most."""
_SEED = 11


class Repeated(NamedTuple):
    """Repeats of values kept.

    repeats: rows that repeat an earlier one, in order. share: of all values that were kept.
    """

    distinct: int
    repeats: np.ndarray
    firsts: np.ndarray
    share: float

    @property
    def total(self) -> int:
        """Rows that repeat an earlier one, estimated where only a share of values was kept."""
        return round(len(self.repeats) / self.share)


class Seen:
    """Values by their 64-bit hash (whole numbers by themselves) and the rows they stand in.

    Beyond MOST values only those are kept whose hash ends in enough zero bits (distinct sampling, Gibbons 2001):
    a value is kept with all its repeats or not at all, so repeats are found at the same share.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most, self._bits = most, 0
        self._values: list[np.ndarray] = []
        self._rows: list[np.ndarray] = []
        self._held = 0
        self._counting = True

    def add(self, values: pl.Series, first: int) -> None:
        """Add a batch's values; missing ones are no values."""
        keys = hashed(values)
        gaps = values.null_count()
        if gaps or self._bits:
            rows = np.arange(first, first + len(keys))
            kept = ~values.is_null().to_numpy() & ~self._cut(keys) if gaps else ~self._cut(keys)
            self._put(keys[kept], rows[kept])
        else:
            self._put(keys, None if self._counting and first == self._held else np.arange(first, first + len(keys)))

    def _put(self, keys: np.ndarray, rows: np.ndarray | None) -> None:
        if rows is not None and self._counting:
            self._counting = False
            self._rows = [np.arange(self._held)] if self._held else []
        self._values.append(keys)
        if rows is not None:
            self._rows.append(rows)
        self._held += len(keys)
        while self._held > self._most:
            self._thin()

    def _thin(self) -> None:
        keys, rows = self._all()
        self._bits += 1
        kept = ~self._cut(keys)
        self._values, self._rows, self._counting = [keys[kept]], [rows[kept]], False
        self._held = int(kept.sum())

    def _cut(self, keys: np.ndarray) -> np.ndarray:
        return np.asarray((mixed(keys) & np.uint64((1 << self._bits) - 1)) != 0)

    def kept(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the keys that were kept and their rows."""
        return self._all()

    def _all(self) -> tuple[np.ndarray, np.ndarray]:
        keys = np.concatenate(self._values) if self._values else np.zeros(0, np.uint64)
        rows = np.arange(self._held) if self._counting else np.concatenate(self._rows or [np.zeros(0, np.int64)])
        return keys, rows

    def result(self) -> Repeated:
        """Find the repeats; rising values, the usual ids, are seen at a glance."""
        keys, rows = self._all()
        share = 0.5**self._bits
        none = np.zeros(0, np.int64)
        if len(keys) < 2 or bool((keys[1:] > keys[:-1]).all()):
            return Repeated(round(len(keys) / share), none, none, share)
        # numpy sorts 64-bit numbers with the processor's vectors: several times quicker than a hash set.
        ordered = np.sort(keys)
        same = ordered[1:] == ordered[:-1]
        distinct = len(keys) - int(same.sum())
        if distinct == len(keys):
            return Repeated(round(distinct / share), none, none, share)
        places = np.flatnonzero(np.isin(keys, np.unique(ordered[1:][same])))
        _, first, group = np.unique(keys[places], return_index=True, return_inverse=True)
        again = first[group] != np.arange(len(places))
        return Repeated(round(distinct / share), rows[places[again]], rows[places[first[group[again]]]], share)


def groups(found: Repeated) -> tuple[tuple[int, ...], ...]:
    """Return the first groups of equal rows: (first, repeats …)."""
    by: dict[int, list[int]] = {}
    for first, repeat in zip(found.firsts.tolist(), found.repeats.tolist(), strict=True):
        if first in by or len(by) < FIRST:
            by.setdefault(first, [first]).append(repeat)
    return tuple(tuple(rows[: FIRST + 1]) for rows in by.values())


def hashed(values: pl.Series) -> np.ndarray:
    """Return 64-bit keys (n,) of values: whole numbers are their own, everything else is hashed."""
    if values.dtype.is_integer():
        return values.fill_null(0).cast(pl.Int64, wrap_numerical=True).to_numpy().view(np.uint64)
    return values.hash(_SEED).to_numpy()


def mixed(keys: np.ndarray) -> np.ndarray:
    """Scatter 64-bit keys (splitmix64's finaliser, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        x = keys.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(x ^ (x >> np.uint64(31)))


class Sketch:
    """How many different values a column has: the k smallest hashes (bottom-k, Bar-Yossef et al. 2002)."""

    def __init__(self, k: int = 4096) -> None:
        self._k = k
        self._keys = np.zeros(0, np.uint64)
        self._top = np.uint64(0xFFFFFFFFFFFFFFFF)
        self.full = False

    def add(self, values: pl.Series) -> None:
        """Add a batch's values."""
        keys = mixed(hashed(values.drop_nulls()))
        fresh = keys[keys <= self._top]
        if not len(fresh):
            return
        merged = np.unique(np.concatenate((self._keys, fresh)))
        if len(merged) > self._k:
            merged, self.full = merged[: self._k], True
            self._top = merged[-1]
        self._keys = merged

    def count(self) -> int:
        """Return the number: exact while it is below k, else ± 1/√k."""
        if not self.full:
            return len(self._keys)
        return round((self._k - 1) / (int(self._top) / 2**64))
