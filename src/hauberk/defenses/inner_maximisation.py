"""The inner problem of adversarial training: a few steps up a loss inside each sample's ball."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from hauberk.core.errors import UsageError
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region, region, steepest, unit_mean

Tensor = torch.Tensor

NEAR = 1e-3
"""Spread of a start beside the clean input, where a divergence from it has no slope (TRADES, section 5)."""
_SPARSITY = 0.05
"""Share of the coordinates an l1 step moves."""


@dataclass(frozen=True, slots=True)
class Inner:
    """How to look for a bad point. steps: gradients; pace: of a step in radii, None for 2.5 radii over all steps.

    start: "random" in the ball, "near" the clean input, or at the "clean" input.
    """

    steps: int = 7
    pace: float | None = None
    start: Literal["random", "near", "clean"] = "random"

    @property
    def stride(self) -> float:
        """Length of a step in radii (Madry et al. 2018, section 5: 2.5 radii in all, at most one radius a step)."""
        return self.pace if self.pace is not None else min(1.0, 2.5 / max(1, self.steps))


def around(threat: Threat, x: Tensor, bounds: tuple[float, float]) -> Region:
    """Return what x (n, *shape) may become; raises UsageError for a threat without a ball.

    In linf without the care for the last bit that an attack takes: nobody judges a training point.
    """
    ball = threat.ball
    if ball is None or threat.kind != "ball":
        raise UsageError(f"{threat.name} has no ball to train in", fix="set norm and radius, or another --defense")
    if ball.norm != "linf":
        return region(ball, x, bounds)
    low, high = (x - ball.radius).clamp(min=bounds[0]), (x + ball.radius).clamp(max=bounds[1])
    return Region("linf", ball.radius, x, low, high)


def ascend(loss: Callable[[Tensor], Tensor], where: Region, rng: torch.Generator, inner: Inner) -> Tensor:
    """Climb `loss` (points (n, *shape) → sum over samples) inside the region; returns the last points, detached."""
    point = _start(where, rng, inner)
    for _ in range(inner.steps):
        point = point.detach().requires_grad_(True)
        with torch.enable_grad():
            value = loss(point)
        (slope,) = torch.autograd.grad(value, point)
        point = onward(point.detach(), slope, where, inner.stride)
    return point.detach()


def _start(where: Region, rng: torch.Generator, inner: Inner) -> Tensor:
    center = where.center
    if inner.start == "clean":
        return center
    if inner.start == "near":
        return where.approach(center + NEAR * torch.randn(center.shape, generator=rng, device=rng.device).to(center))
    if where.norm != "linf":
        return where.scatter(rng)
    move = torch.rand(center.shape, generator=rng, device=rng.device).mul_(2).sub_(1).to(center)
    return where.approach(move.mul_(where.radius).add_(center))


def onward(point: Tensor, slope: Tensor, where: Region, stride: float) -> Tensor:
    """Go one stride (in radii) up from points (n, *shape) by their gradients and back into the region.

    In l0 a step moves the average coordinate by this share of its range.
    """
    if where.norm == "l0":
        return where.approach(point + stride * (where.upper - where.lower) * unit_mean(slope))
    return where.approach(point.add(steepest(slope, where.norm, _SPARSITY), alpha=stride * where.radius))
