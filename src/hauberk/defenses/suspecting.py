"""What detectors of planted rows share: what a row's neighbours say of its label, and how a verdict is put together."""

from __future__ import annotations

from typing import NamedTuple

import torch

from hauberk.core.errors import DataError
from hauberk.core.poisoning import Suspicion
from hauberk.numeric.neighbours import nearest, principal, votes

Tensor = torch.Tensor

LEAST = 30
"""Rows below which no detector says anything."""
COLUMNS = 256
"""Rows (n, d) with fewer features are those of a table, whose columns have units of their own."""
_FARTHEST = 4.0
"""Deviations beyond which a value of a column counts as no farther."""


class Company(NamedTuple):
    """A row and its neighbours, n rows and c classes.

    said: (n, c), what the neighbours' labels say. which: (n, k), the neighbours. odd: (n,) bool, rows whose label is
    not what most of their neighbours' weight says.
    """

    said: Tensor
    which: Tensor
    odd: Tensor


def company(x: Tensor, y: Tensor, neighbours: int, directions: int) -> Company:
    """Look at the neighbours of each row among the first principal directions; raises DataError for too few rows.

    Columns of a table are brought to one scale first: an income would outweigh an age.
    """
    demand_rows(x, y)
    rows = scaled(x) if is_table(x) else x
    found = nearest(principal(rows, directions), min(neighbours, len(y) - 1))
    said = votes(found, y, classes_of(y))
    return Company(said, found.which, said.argmax(1) != y)


def is_table(x: Tensor) -> bool:
    """Say whether inputs (n, *shape) are rows of a table."""
    return x.ndim == 2 and x.shape[1] < COLUMNS


def scaled(x: Tensor) -> Tensor:
    """Bring each column of (n, d) to mean 0 and deviation 1, cut at four of them: no value outweighs a whole row."""
    spread = x.std(0).clamp(min=torch.finfo(x.dtype).tiny)
    return ((x - x.mean(0)) / spread).clamp(-_FARTHEST, _FARTHEST)


def ranked(x: Tensor) -> Tensor:
    """Replace each value of (n, d) by the share of its column that is not above it; equal values stay equal.

    Rows that share a value far outside the rest of its column are then no neighbours by it alone.
    """
    columns = x.T.contiguous()
    return (torch.searchsorted(columns.sort(1).values, columns, right=True) / len(x)).T.contiguous()


def classes_of(y: Tensor) -> int:
    """Count the classes that labels y (n,) speak of."""
    return int(y.max()) + 1


def demand_rows(x: Tensor, y: Tensor) -> None:
    """Raise DataError where there is nothing to compare."""
    if len(y) < LEAST or len(x) != len(y):
        raise DataError(f"{len(x)} inputs and {len(y)} labels; at least {LEAST} rows are needed to tell planted ones")
    if bool((y == y[0]).all()):
        raise DataError("all rows have one label, so that none stands out", fix="give rows of two classes at least")


def nothing(scores: Tensor, alarm: float, note: str) -> Suspicion:
    """Say that no row is flagged."""
    return Suspicion(scores, torch.zeros(len(scores), dtype=torch.bool), alarm, None, note)


def verdict(scores: Tensor, flagged: Tensor, alarm: float, aim: int, note: str) -> Suspicion:
    """Flag rows where the sign is above its threshold; otherwise keep the ranking alone."""
    if alarm < 1 or not bool(flagged.any()):
        return nothing(scores, min(alarm, 1 - 1e-9), note)
    return Suspicion(scores, flagged, alarm, aim, note)
