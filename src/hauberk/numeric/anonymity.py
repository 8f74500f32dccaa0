"""Anonymity of tables: k-anonymity, l-diversity, t-closeness, and Mondrian's generalisation that reaches them.

They are no differential privacy: who knows more, or has two such tables, may still find people. Sweeney 2002;
Machanavajjhala et al. 2007; Li et al. 2007; LeFevre et al. 2006 (Mondrian).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Columns: TypeAlias = npt.NDArray[np.float64]
Values: TypeAlias = npt.NDArray[np.generic]


Good: TypeAlias = Callable[[npt.NDArray[np.intp]], bool]


class Anonymity(NamedTuple):
    """How well a table hides its rows among those with equal quasi-identifiers.

    k: rows of the smallest group. l: fewest different sensitive values in a group. entropy_l: exp of the least entropy
    of them. t: largest distance of a group's sensitive values from the whole table's, 0–1. groups: how many there are.
    smallest: row numbers of the smallest group.
    """

    k: int
    l: int  # noqa: E741 - the field's own letter
    entropy_l: float
    t: float
    groups: int
    smallest: tuple[int, ...]


def anonymity(
    quasi: npt.NDArray[np.generic], sensitive: npt.NDArray[np.generic], *, ordered: bool = False
) -> Anonymity:
    """Measure a table: quasi-identifiers (n, d), a sensitive column (n,).

    ordered: sensitive values are numbers, whose distance counts (earth mover's over ranks); else they are equal or not
    (total variation). Raises ValueError for an empty table.
    """
    if not len(quasi) or len(quasi) != len(sensitive):
        raise ValueError(f"{len(quasi)} rows of quasi-identifiers and {len(sensitive)} sensitive values")
    _, group = np.unique(quasi, axis=0, return_inverse=True)
    group = group.reshape(-1)
    kinds, value = np.unique(sensitive, return_inverse=True)
    counts = np.zeros((int(group.max()) + 1, len(kinds)))
    np.add.at(counts, (group, value), 1)
    sizes = counts.sum(1)
    shares = counts / sizes[:, None]
    whole = counts.sum(0) / len(sensitive)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.nansum(np.where(shares > 0, shares * np.log(shares), 0.0), axis=1)
    return Anonymity(
        k=int(sizes.min()),
        l=int((counts > 0).sum(1).min()),
        entropy_l=float(np.exp(entropy.min())),
        t=float(_distance(shares - whole, ordered=ordered).max()),
        groups=len(sizes),
        smallest=tuple(int(row) for row in np.flatnonzero(group == int(sizes.argmin()))[:20]),
    )


def _distance(gaps: Columns, *, ordered: bool) -> Columns:
    if not ordered:
        return np.asarray(np.abs(gaps).sum(1) / 2)
    steps = max(1, gaps.shape[1] - 1)
    return np.asarray(np.abs(np.cumsum(gaps, axis=1)).sum(1) / steps)


class Generalised(NamedTuple):
    """A generalised table: low and high (n, d) of each row's box, its group (n,), and what was lost.

    loss: mean share of a column's range that a box spans, 0 for nothing lost, 1 for everything.
    """

    low: Columns
    high: Columns
    group: npt.NDArray[np.int64]
    loss: float

    def centres(self) -> Columns:
        """Return the middle of each row's box (n, d): numbers a model can be trained on."""
        return np.asarray((self.low + self.high) / 2)


def mondrian(
    quasi: Columns,
    k: int,
    sensitive: npt.NDArray[np.generic] | None = None,
    *,
    diversity: int = 1,
    closeness: float = 1.0,
) -> Generalised:
    """Generalise numeric quasi-identifiers (n, d) to boxes of k rows at least, split at medians as long as that holds.

    sensitive (n,), diversity, closeness: every box also has so many different values, and none farther than that from
    the whole table's. LeFevre, DeWitt & Ramakrishnan 2006. Raises ValueError where the table itself does not reach it.
    """
    quasi = np.asarray(quasi, dtype=np.float64)
    kinds = None if sensitive is None else np.unique(sensitive, return_inverse=True)[1].reshape(-1)
    whole = None if kinds is None else np.bincount(kinds) / len(kinds)

    def good(rows: npt.NDArray[np.intp]) -> bool:
        if len(rows) < k:
            return False
        if kinds is None or whole is None:
            return True
        counts = np.bincount(kinds[rows], minlength=len(whole))
        return int((counts > 0).sum()) >= diversity and float(abs(counts / len(rows) - whole).sum() / 2) <= closeness

    everything = np.arange(len(quasi))
    if not good(everything):
        raise ValueError(f"the whole table of {len(quasi)} rows is not {k}-anonymous, {diversity}-diverse")
    span = np.ptp(quasi, axis=0)
    low, high = np.zeros_like(quasi), np.zeros_like(quasi)
    group, found, waiting = np.zeros(len(quasi), dtype=np.int64), 0, [everything]
    while waiting:
        rows = waiting.pop()
        halves = _cut(quasi, rows, span, good)
        if halves:
            waiting += halves
            continue
        low[rows], high[rows], group[rows] = quasi[rows].min(0), quasi[rows].max(0), found
        found += 1
    loss = float(np.mean((high - low) / np.where(span > 0, span, 1.0)))
    return Generalised(low, high, group, loss)


def _cut(quasi: Columns, rows: npt.NDArray[np.intp], span: Columns, good: Good) -> list[npt.NDArray[np.intp]]:
    """Cut a box at the median of its relatively widest column that allows it."""
    part = quasi[rows]
    widths = np.ptp(part, axis=0) / np.where(span > 0, span, 1.0)
    for column in np.argsort(-widths):
        if widths[column] <= 0:
            break
        middle = np.median(part[:, column])
        for below in (part[:, column] <= middle, part[:, column] < middle):
            left, right = rows[below], rows[~below]
            if len(left) and len(right) and good(left) and good(right):
                return [left, right]
    return []
