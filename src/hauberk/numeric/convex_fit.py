"""Regularised linear classifiers solved to their unique minimum, on which output and objective perturbation rest."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

SOLVED = 1e-7
"""Largest gradient norm at which a solution counts as the minimum; it is added to the sensitivity."""


def bounded_rows(x: torch.Tensor, norm: float) -> torch.Tensor:
    """Flatten inputs x (n, …) to float64 rows with a last column of ones, each scaled to L2 norm 1 at most.

    norm: a bound on the rows' norms that is known without the data; longer rows are shortened.
    """
    rows = x.reshape(len(x), -1).double() / norm
    rows = rows * rows.norm(dim=1, keepdim=True).clamp_min(1.0).reciprocal()
    return torch.cat((rows, torch.ones(len(rows), 1, dtype=torch.float64)), 1) / math.sqrt(2)


def fit_linear(
    rows: torch.Tensor, y: torch.Tensor, classes: int, ridge: float, tilt: torch.Tensor | None = None
) -> torch.Tensor:
    """Minimise the mean cross-entropy + ridge/2 · ‖w‖² + ⟨tilt, w⟩/n; returns w (classes, d).

    rows (n, d) of norm 1 at most, y (n,). Raises ValueError where the solver does not reach SOLVED.
    """
    start = torch.zeros(classes, rows.shape[1], dtype=torch.float64)
    return _minimum(lambda w: cross_entropy(rows @ w.T, y), start, len(y), ridge, tilt)


def fit_logistic(rows: torch.Tensor, y: torch.Tensor, ridge: float, tilt: torch.Tensor | None = None) -> torch.Tensor:
    """Minimise the mean logistic loss of y (n,) in 0, 1 + ridge/2 · ‖w‖² + ⟨tilt, w⟩/n; returns w (d,)."""
    wanted = y.double()
    start = torch.zeros(rows.shape[1], dtype=torch.float64)
    return _minimum(lambda w: binary_cross_entropy_with_logits(rows @ w, wanted), start, len(y), ridge, tilt)


def _minimum(
    mean_loss: Callable[[torch.Tensor], torch.Tensor],
    start: torch.Tensor,
    n: int,
    ridge: float,
    tilt: torch.Tensor | None,
) -> torch.Tensor:
    weights = start.requires_grad_()
    solver = torch.optim.LBFGS(
        [weights], max_iter=2000, tolerance_grad=1e-10, tolerance_change=0.0, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        solver.zero_grad()
        value = mean_loss(weights) + ridge / 2 * weights.square().sum()
        if tilt is not None:
            value = value + (tilt * weights).sum() / n
        torch.autograd.backward(value)
        return value

    with torch.enable_grad():
        for _ in range(5):
            solver.step(loss)  # type: ignore[no-untyped-call]
            loss()
            assert weights.grad is not None
            gap = float(weights.grad.norm())
            if gap <= SOLVED:
                return weights.detach()
    raise ValueError(f"the minimum was not reached: the gradient's norm is {gap:.1e}")


class LinearHead(torch.nn.Module):
    """The classifier as a network of raw inputs (n, …) → logits (n, classes), scaled as its rows were."""

    def __init__(self, weights: torch.Tensor, norm: float) -> None:
        super().__init__()
        self.norm = norm
        self.weight = torch.nn.Parameter(weights.float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Score inputs."""
        rows = x.flatten(1) / self.norm
        rows = rows * rows.norm(dim=1, keepdim=True).clamp_min(1.0).reciprocal()
        rows = torch.cat((rows, rows.new_ones(len(rows), 1)), 1) / math.sqrt(2)
        return rows @ self.weight.T
