"""Hold out test rows class by class, the same ones for the same labels and seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hauberk.core.protocols import Labels


def split_rows(y: Labels, share: float, seed: int) -> tuple[Labels, Labels]:
    """Return the indices of training rows in order, and of test rows shuffled: their first m are a fair sample.

    round(share · n) rows are held out, each class with its share but for rounding by largest remainder. A class of two
    rows or more has one on each side where the numbers allow it.
    """
    rng = np.random.default_rng(seed)
    classes, counts = np.unique(y, return_counts=True)
    quotas = _quotas(counts, share)
    held = [rng.permutation(np.flatnonzero(y == label))[:quota] for label, quota in zip(classes, quotas, strict=True)]
    test = rng.permutation(np.concatenate(held))
    train = np.setdiff1d(np.arange(len(y)), test)
    return train, test


def _quotas(counts: Labels, share: float) -> Labels:
    """Apportion the held-out rows to classes by largest remainder."""
    exact = counts * share
    quotas = np.floor(exact + 1e-9).astype(np.int64)
    left = round(share * int(counts.sum())) - int(quotas.sum())
    if left > 0:
        quotas[np.argsort(quotas - exact, kind="stable")[:left]] += 1
    if share < 1:
        quotas = np.where((counts > 1) & (quotas == 0), 1, quotas)
        quotas = np.where((counts > 1) & (quotas == counts), counts - 1, quotas)
    return np.asarray(quotas, dtype=np.int64)
