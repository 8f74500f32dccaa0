"""Whether the order of rows tells something that it should not: neighbours in the file that are alike."""

from __future__ import annotations

import math

import numpy as np

from hauberk.scanning.tables.facts import Order


def runs(y: np.ndarray, ids: np.ndarray, column: str) -> Order | None:
    """Test whether equal labels y (n,) stand together: how often a row's label is that of the row before it.

    statistic: the share of equal neighbours above that of a shuffled file, scaled to 1 for a sorted one. p: one-sided,
    normal approximation of the join count under random order (Wald & Wolfowitz 1940 for two classes).
    """
    n = len(y)
    if n < 30:
        return None
    ordered = y[np.argsort(ids, kind="stable")]
    shares = np.bincount(ordered) / n
    expected = float((shares**2).sum())
    if expected >= 1:
        return None
    equal = float((ordered[1:] == ordered[:-1]).mean())
    deviation = math.sqrt(max(expected - 2 * float((shares**3).sum()) + expected**2, 1e-12) / (n - 1))
    z = (equal - expected) / deviation
    return Order(column=column, statistic=max(0.0, (equal - expected) / (1 - expected)), p=_tail(z), of=n)


def drifting(values: np.ndarray, ids: np.ndarray, column: str) -> Order | None:
    """Test whether a number rises or falls along the file: Spearman's rank correlation with the row's id."""
    there = np.isfinite(values)
    n = int(there.sum())
    if n < 30:
        return None
    ranks = _ranks(values[there])
    places = _ranks(ids[there].astype(np.float64))
    spread = ranks.std() * places.std()
    if spread == 0:
        return None
    rho = float(((ranks - ranks.mean()) * (places - places.mean())).mean() / spread)
    return Order(column=column, statistic=abs(rho), p=2 * _tail(abs(rho) * math.sqrt(n - 1)), of=n)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Rank values, ties sharing their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse])


def _tail(z: float) -> float:
    """Return the upper tail of the normal distribution."""
    return 0.5 * math.erfc(z / math.sqrt(2))
