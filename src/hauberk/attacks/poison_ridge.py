"""Ridge regression on class indicators: the linear model a poisoner can solve in closed form and differentiate."""

from __future__ import annotations

import torch
from torch.nn.functional import one_hot

from hauberk.core.errors import DataError

Tensor = torch.Tensor

WIDEST = 2048
"""Columns above which the normal equations are not solved."""


def design(x: Tensor) -> Tensor:
    """Return rows (n, d + 1) float64 with a constant; raises DataError for more columns than can be solved."""
    flat = x.flatten(1).double()
    if flat.shape[1] > WIDEST:
        raise DataError(
            f"a linear model of {flat.shape[1]} columns is not solved, {WIDEST} at most", fix="poison smaller inputs"
        )
    return torch.cat((flat, torch.ones(len(flat), 1, dtype=torch.float64)), 1)


def indicators(y: Tensor, classes: int) -> Tensor:
    """Return +1 in the column of the row's class and -1 in the others: (n, classes) float64."""
    return one_hot(y, classes).double() * 2 - 1


def solved(rows: Tensor, wanted: Tensor, ridge: float) -> Tensor:
    """Return weights (d, classes) that minimise mean ‖rows · w − wanted‖² + ridge · ‖w‖²; differentiable by both."""
    eye = torch.eye(rows.shape[1], dtype=rows.dtype)
    weights: Tensor = torch.linalg.solve(rows.T @ rows / len(rows) + ridge * eye, rows.T @ wanted / len(rows))
    return weights
