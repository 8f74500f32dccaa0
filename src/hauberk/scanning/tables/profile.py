"""A profile of every column in one pass: counts, extremes, moments that merge, how many different values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import polars as pl

from hauberk.scanning.tables.distinct import Sketch
from hauberk.scanning.tables.facts import ColumnFacts
from hauberk.scanning.tables.gathered import Gathered
from hauberk.scanning.tables.typing import BLANKS, kind_of

VALUES = 1000
"""Different values up to which each is counted."""


class _Moments(NamedTuple):
    """Count, mean and sum of squared deviations, merged as in Chan et al. 1979."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def merged(self, other: _Moments) -> _Moments:
        n = self.n + other.n
        if not n or not other.n:
            return self
        gap = other.mean - self.mean
        mean = self.mean + gap * other.n / n
        return _Moments(n, mean, self.squares + other.squares + gap * gap * self.n * other.n / n)


class _Column:
    """What is known of one column so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows = 0
        self.dtype: pl.DataType = pl.Null()
        self.missing, self.blank, self.words, self.infinite = (Gathered() for _ in range(4))
        self.low: float | None = None
        self.high: float | None = None
        self.longest: int | None = None
        self.moments = _Moments()
        self.whole = self.rising = True
        self.last: Any = None
        self.sketch = Sketch()
        self.values: Counter[object] | None = Counter()


class Profile:
    """Gathers facts of columns batch by batch; what a batch lacks counts as missing there."""

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}
        self._rows = 0

    def add(self, frame: pl.DataFrame, first: int, words: dict[str, pl.Series]) -> None:
        """Add a typed batch; words: rows that hold a word where a number should be."""
        for name in frame.columns:
            self._columns.setdefault(name, _Column(name))
        row = frame.select(list(_expressions(frame))).row(0, named=True) if frame.width and len(frame) else {}
        for name, column in self._columns.items():
            if name not in frame.columns:
                column.missing.add(len(frame), pl.repeat(True, len(frame), eager=True), first)
            elif len(frame):
                self._take(column, frame[name], row, first, words.get(name))
            column.rows += len(frame)
        self._rows += len(frame)

    def _take(
        self, column: _Column, values: pl.Series, row: dict[str, float | None], first: int, words: pl.Series | None
    ) -> None:
        name, kind = column.name, values.dtype
        column.dtype = kind if kind != pl.Null else column.dtype
        wrong = 0
        if words is not None:
            wrong = int(words.sum())
            column.words.add(wrong, words, first)
        gaps = int(row[f"{name}\0missing"] or 0) - wrong
        if gaps:
            mask = values.is_null() if words is None else values.is_null() & ~words
            column.missing.add(gaps, mask if column.missing.wants else None, first)
        if kind.is_numeric():
            _numbers(column, values, row, first)
        elif kind == pl.String:
            column.longest = max(column.longest or 0, int(row[f"{name}\0longest"] or 0))
            if count := int(row[f"{name}\0blank"] or 0):
                blank = values.str.strip_chars().is_in(BLANKS) if column.blank.wants else None
                column.blank.add(count, blank, first)
        _rising(column, values)
        column.sketch.add(values)
        _count(column, values)

    def result(self) -> tuple[ColumnFacts, ...]:
        """Return the facts of every column, in the order they were met."""
        return tuple(_facts(column, self._rows) for column in self._columns.values())


def _expressions(frame: pl.DataFrame) -> Iterator[pl.Expr]:
    for name, kind in frame.schema.items():
        column = pl.col(name)
        yield column.null_count().alias(f"{name}\0missing")
        if kind.is_numeric():
            finite = column.filter(column.is_finite()) if kind.is_float() else column
            yield (column.is_infinite().sum() if kind.is_float() else pl.lit(0)).alias(f"{name}\0infinite")
            yield finite.min().cast(pl.Float64).alias(f"{name}\0low")
            yield finite.max().cast(pl.Float64).alias(f"{name}\0high")
            yield finite.cast(pl.Float64).mean().alias(f"{name}\0mean")
            yield finite.cast(pl.Float64).var(ddof=0).alias(f"{name}\0variance")
            yield (
                (finite == finite.round()).all().alias(f"{name}\0whole")
                if kind.is_float()
                else pl.lit(value=True).alias(f"{name}\0whole")
            )
        elif kind == pl.String:
            yield column.str.len_chars().max().alias(f"{name}\0longest")
            yield column.str.strip_chars().is_in(BLANKS).sum().alias(f"{name}\0blank")


def _numbers(column: _Column, values: pl.Series, row: dict[str, float | None], first: int) -> None:
    name = column.name
    if count := int(row[f"{name}\0infinite"] or 0):
        column.infinite.add(count, values.is_infinite() if column.infinite.wants else None, first)
    low, high = row[f"{name}\0low"], row[f"{name}\0high"]
    if low is None or high is None:
        return
    column.low = low if column.low is None else min(low, column.low)
    column.high = high if column.high is None else max(high, column.high)
    n = len(values) - values.null_count() - int(row[f"{name}\0infinite"] or 0)
    variance = row[f"{name}\0variance"] or 0.0
    column.moments = column.moments.merged(_Moments(n, row[f"{name}\0mean"] or 0.0, variance * n))
    column.whole &= bool(row[f"{name}\0whole"])


def _rising(column: _Column, values: pl.Series) -> None:
    if not column.rising or kind_of(values.dtype) not in ("number", "time"):
        column.rising = False
        return
    there = values.drop_nulls()
    if len(there):
        follows = column.last is None or there[0] >= column.last
        column.rising = bool(follows) and there.is_sorted()
        column.last = there[-1]


def _count(column: _Column, values: pl.Series) -> None:
    """Count each value while there are few of them."""
    if column.values is None:
        return
    if column.sketch.full or column.sketch.count() > VALUES:
        column.values = None
        return
    table = values.drop_nulls().value_counts(name="\0rows")
    for value, count in table.rows():
        column.values[value] += count


def _facts(column: _Column, rows: int) -> ColumnFacts:
    kind = kind_of(column.dtype)
    n = column.moments.n
    common = column.values.most_common() if column.values is not None else []
    late = rows - column.rows
    missing = column.missing.rows()
    return ColumnFacts(
        name=column.name,
        kind=kind,
        rows=rows,
        missing=type(missing)(count=missing.count + late, first=missing.first),
        blank=column.blank.rows(),
        words=column.words.rows(),
        infinite=column.infinite.rows(),
        distinct=column.sketch.count(),
        exact=not column.sketch.full,
        low=column.low,
        high=column.high,
        mean=column.moments.mean if n else None,
        deviation=math.sqrt(column.moments.squares / n) if n else None,
        longest=column.longest,
        whole=kind == "number" and column.whole and n > 0,
        rising=column.rising,
        common=tuple((plainly(value), count) for value, count in sorted(common, key=lambda c: (-c[1], plainly(c[0])))),
    )


def plainly(value: object) -> str:
    """Write a value as a category is written: 3.0 is 3."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
