"""Which rows a poisoner changes, and how far: the threat's rate, its class, and the set a changed row must stay in."""

from __future__ import annotations

import torch

from hauberk.core.errors import DataError, UsageError
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.balls import Region, region

Tensor = torch.Tensor


def goal_of(threat: Threat) -> int:
    """Return the class the attacker wants; an untargeted threat aims at class 0."""
    return threat.target_class or 0


def allowed(threat: Threat, rows: int) -> int:
    """Return how many of the rows the attacker may change; raises UsageError where the threat has no poison rate."""
    if threat.poison_rate is None or not 0 <= threat.poison_rate <= 1:
        raise UsageError(f"{threat.name} has no poison rate in 0–1", fix="set poison_rate, such as 0.02")
    return int(threat.poison_rate * rows + 1e-9)  # 0.29 · 100 is 28.999… in floating point


def relabelled(y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
    """Draw rows (m,) to be given the goal as label: of other classes as long as there are any."""
    goal = goal_of(threat)
    order = torch.randperm(len(y), generator=rng)
    order = torch.cat((order[y[order] != goal], order[y[order] == goal]))
    return order[: allowed(threat, len(y))].sort().values


def members(y: Tensor, threat: Threat) -> Tensor:
    """Return the rows of the goal class itself; raises DataError where it has none."""
    rows = (y == goal_of(threat)).nonzero()[:, 0]
    if not len(rows):
        raise DataError(f"class {goal_of(threat)} has no training row", fix="aim at a class the data has")
    return rows


def own(y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
    """Draw rows (m,) of the goal class, which keep their label; fewer where it has fewer. Raises as `members` does."""
    rows = members(y, threat)
    return rows[torch.randperm(len(rows), generator=rng)[: allowed(threat, len(y))]].sort().values


def others(y: Tensor, threat: Threat) -> Tensor:
    """Return the rows of other classes than the goal; raises DataError where there are none."""
    rows = (y != goal_of(threat)).nonzero()[:, 0]
    if not len(rows):
        raise DataError(f"all training rows are of class {goal_of(threat)}", fix="give rows of two classes at least")
    return rows


def around(x: Tensor, bounds: tuple[float, float], threat: Threat, share: float) -> Region:
    """Return the set that rows (m, *shape) stay in: the threat's ball, or `share` of the input range in linf."""
    return region(threat.ball or Ball("linf", share * (bounds[1] - bounds[0])), x, bounds)


def images(x: Tensor, what: str) -> Tensor:
    """Return x (n, c, h, w) as it is; raises DataError for anything else."""
    if x.ndim != 4:
        raise DataError(f"{what} needs images (n, c, h, w), not {tuple(x.shape)}")
    return x
