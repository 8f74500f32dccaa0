"""Columns that give the label away, alone."""

from __future__ import annotations

import numpy as np
import polars as pl

from hauberk.scanning.tables.facts import ColumnFacts, Leak

_BINS = 20


def power(values: pl.Series, y: np.ndarray, classes: int) -> float:
    """Say how much better than the majority a column tells labels y (n,), held out, in [0, 1].

    Every second row decides which label a value (or one of 20 quantile bins of a number) stands for; the other rows
    are told by it. 0: no better than always naming the largest class; 1: every row right.
    """
    n = len(y)
    if n < 40:
        return 0.0
    codes = _codes(values)
    known, asked = np.arange(n) % 2 == 0, np.arange(n) % 2 == 1
    width = int(codes.max()) + 1
    counts = np.zeros((width, classes))
    np.add.at(counts, (codes[known], y[known]), 1)
    largest = int(np.bincount(y[known], minlength=classes).argmax())
    answer = np.where(counts.sum(1) > 0, counts.argmax(1), largest)
    right = float((answer[codes[asked]] == y[asked]).mean())
    base = float((y[asked] == largest).mean())
    return max(0.0, (right - base) / (1 - base)) if base < 1 else 0.0


def _codes(values: pl.Series) -> np.ndarray:
    """Number the values; many different numbers by their quantile, gaps by themselves."""
    if values.dtype.is_numeric() and values.n_unique() > 2 * _BINS:
        numbers = values.cast(pl.Float64).to_numpy()
        there = np.isfinite(numbers)
        edges = np.unique(np.quantile(numbers[there], np.linspace(0, 1, _BINS + 1)[1:-1]))
        return np.where(there, np.searchsorted(edges, np.where(there, numbers, 0), side="right"), len(edges) + 1)
    return values.cast(pl.String, strict=False).fill_null("\0").rank("dense").to_numpy().astype(np.int64) - 1


def leaks(
    frame: pl.DataFrame,
    y: np.ndarray,
    classes: int,
    columns: tuple[ColumnFacts, ...],
    leave_out: tuple[str, ...],
    bar: float,
) -> tuple[Leak, ...]:
    """Return the columns whose power reaches the bar, strongest first."""
    found = []
    for column in columns:
        if column.name in leave_out or column.name not in frame.columns or column.distinct < 2:
            continue
        if column.kind == "text" and column.distinct > 0.5 * column.rows:
            continue
        strength = power(frame[column.name], y, classes)
        if strength >= bar:
            found.append(Leak(column=column.name, power=strength, of=len(y), by="value"))
    return tuple(sorted(found, key=lambda leak: (-leak.power, leak.column)))
