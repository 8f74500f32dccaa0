"""Plain corruptions as attacks: from faint to strong until the model errs, then back to the faintest that does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch

from hauberk.attacks.boundary_search import Hunt, beside

Tensor = torch.Tensor

Path: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(rows (m,) of the samples, strength (m,) 0–1) → corrupted inputs (m, *shape) inside the bounds; 0 changes nothing."""

MEASURED = 20
"""Halvings that find the strongest corruption inside the ball; they ask the model nothing."""
HALVINGS = 8
"""Questions that find the faintest corruption that errs: 1/256 of the last step."""


def worsen(hunt: Hunt, rows: Tensor, path: Path, steps: int) -> Tensor:
    """Look for errors of samples `rows` (m,) at `steps` strengths, none beyond the ball; keep the faintest.

    Returns the rows without an error, whose budget may last for another try.
    """
    most = _strongest(hunt, rows, path)
    waiting = torch.arange(len(rows), device=rows.device)
    for step in range(1, steps + 1):
        waiting = waiting[hunt.left[rows[waiting]] > 0]
        if not len(waiting):
            break
        high, low = most[waiting] * (step / steps), most[waiting] * ((step - 1) / steps)
        point = path(rows[waiting], high)
        hit = hunt.errs(point, rows[waiting])
        if bool(hit.any()):
            _refine(hunt, rows[waiting[hit]], point[hit], path, low[hit], high[hit])
        waiting = waiting[~hit]
    return rows[waiting[hunt.left[rows[waiting]] > 0]]


def line(hunt: Hunt, end: Tensor) -> Path:
    """Return the straight path from the clean inputs to `end` (n, *shape)."""
    return lambda rows, share: hunt.clean[rows] + beside(share, hunt.clean) * (end[rows] - hunt.clean[rows])


def _refine(hunt: Hunt, rows: Tensor, point: Tensor, path: Path, low: Tensor, high: Tensor) -> None:
    """Bisect between strengths low and high (m,), of which high errs, at `point`."""
    walkers = hunt.walkers(rows, point)
    hunt.keep(hunt.at(walkers, hunt.bisect(walkers, lambda share: path(rows, low + share * (high - low)), HALVINGS)))


def _strongest(hunt: Hunt, rows: Tensor, path: Path) -> Tensor:
    """Return the greatest strengths (m,) whose corruption lies in the ball; 1 where all do."""
    low, high = torch.zeros(len(rows), device=rows.device), torch.ones(len(rows), device=rows.device)
    whole = hunt.holds(path(rows, high), rows)
    for _ in range(0 if bool(whole.all()) else MEASURED):
        middle = (low + high) / 2
        inside = hunt.holds(path(rows, middle), rows)
        low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
    return torch.where(whole, 1.0, low)
