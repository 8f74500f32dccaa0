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


class Company(NamedTuple):
    """A row and its neighbours, n rows and c classes.

    said: (n, c), what the neighbours' labels say. which: (n, k), the neighbours. odd: (n,) bool, rows whose label is
    not what most of their neighbours' weight says.
    """

    said: Tensor
    which: Tensor
    odd: Tensor


def company(x: Tensor, y: Tensor, neighbours: int, directions: int) -> Company:
    """Look at the neighbours of each row among the first principal directions; raises DataError for too few rows."""
    demand_rows(x, y)
    found = nearest(principal(x, directions), min(neighbours, len(y) - 1))
    said = votes(found, y, classes_of(y))
    return Company(said, found.which, said.argmax(1) != y)


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
