"""Rows far from all others: by the tails of their columns, and by the distance to their neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hauberk.scanning.tables.facts import Outlying
from hauberk.scanning.tables.gathered import rows_of

if TYPE_CHECKING:
    from hauberk.core.protocols import Floats

ROBUST = 8.0
"""Robust deviations above the median from which a score is an outlier's."""


def ecod(x: Floats) -> np.ndarray:
    """Score rows x (n, d): the largest of left, right and skewness-chosen tail, summed over columns (Li et al. 2022).

    Each column's tails are −log of the empirical distribution from either side.
    """
    n = len(x)
    values = x.astype(np.float64)
    order = np.sort(values, axis=0)
    left = np.stack([np.searchsorted(order[:, j], values[:, j], side="right") for j in range(values.shape[1])], 1) / n
    right = (
        1 - np.stack([np.searchsorted(order[:, j], values[:, j], side="left") for j in range(values.shape[1])], 1) / n
    )
    low, high = -np.log(left), -np.log(np.maximum(right, 1 / n))
    centred = values - values.mean(0)
    chosen = np.where((centred**3).mean(0) < 0, low, high)
    return np.asarray(np.maximum.reduce([low.sum(1), high.sum(1), chosen.sum(1)]))


def hbos(x: Floats, bins: int = 10) -> np.ndarray:
    """Score rows x (n, d): the sum over columns of −log of the height of their histogram's bin (Goldstein 2012)."""
    score = np.zeros(len(x))
    for column in x.T.astype(np.float64):
        counts, edges = np.histogram(column, bins)
        height = counts / max(int(counts.max()), 1)
        place = np.clip(np.searchsorted(edges, column, side="right") - 1, 0, bins - 1)
        score -= np.log(np.maximum(height[place], 1 / (2 * len(x))))
    return score


def far(score: np.ndarray, most: float = 0.05) -> np.ndarray:
    """Return which scores (n,) lie ROBUST robust deviations above the median, none where that is not rare."""
    logged = np.log(np.maximum(score, 1e-12))
    centre = np.median(logged)
    spread = max(1.4826 * float(np.median(np.abs(logged - centre))), 0.05)
    found = logged > centre + ROBUST * spread
    return found if found.mean() <= most else np.zeros(len(score), dtype=bool)


def outlying(x: Floats, distance: Floats, ids: np.ndarray) -> tuple[Outlying, ...]:
    """Find outliers of rows x (n, d) whose distances to their neighbours are (n, k)."""
    if len(x) < 50 or not x.shape[1] or not distance.shape[1]:
        return ()
    by = {"distance to its neighbours": far(distance.mean(1))}
    if x.shape[1] <= 200:
        tails = ecod(x)
        by["tails of its columns"] = far(tails) & far(hbos(x))
    return tuple(Outlying(by=name, rows=rows_of(ids[found]), of=len(x)) for name, found in by.items() if found.any())
