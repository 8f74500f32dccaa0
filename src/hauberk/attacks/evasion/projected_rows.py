"""Projected rows: gradient steps on a relaxed row of a table, each look at the allowed row nearest to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import msgspec
import torch

from hauberk.attacks.driver import DEFAULT, Driving, Plan, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.core.threat import Constraints, Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.losses import LOSSES, LossName
from hauberk.numeric.rows import Rows, rows

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Walk:
    """Where the search stands. x: (n, d) allowed rows. soft: (n, d), the same rows before rounding and choosing.

    pull: (n, d), the gradients so far, the older the less.
    """

    x: Tensor
    soft: Tensor
    pull: Tensor


@dataclass(frozen=True, slots=True)
class _Method:
    """How rows move under `constraints` inside `bounds`; the settings are the attack's."""

    constraints: Constraints
    bounds: tuple[float, float]
    pace: float
    momentum: float

    def start(self, region: Region, rng: torch.Generator) -> Walk:
        """Begin half of the samples at their clean rows, the others at random allowed ones."""
        where = rows(self.constraints, region.center, self.bounds)
        clean = torch.rand((len(region.center), 1), generator=rng, device=rng.device).to(region.center) < 0.5
        x = torch.where(clean, region.center, where.scatter(rng))
        return Walk(x, x, torch.zeros_like(x))

    def step(self, state: Walk, seen: Seen, turn: Turn) -> Walk:
        """Move every column along its pull, and keep of the units those that promise most."""
        where = rows(self.constraints, turn.region.center, self.bounds)
        width = (where.upper - where.lower).masked_fill(where.fixed[:, where.unit], 0.0)
        # In shares of a column's range, so that years and thousands count alike.
        slope = seen.gradient * width
        slope = slope / slope.abs().amax(1, keepdim=True).clamp(min=torch.finfo(slope.dtype).tiny)
        pull = self.momentum * state.pull + slope
        left = 1 - turn.index / turn.steps
        soft = state.soft + self.pace * left * width * pull.sign()
        soft = torch.minimum(torch.maximum(soft, where.lower), where.upper)
        soft = torch.where(width > 0, soft, where.center)
        return Walk(where.project(_chosen(where, soft, pull, width)), soft, pull)


@dataclass(frozen=True, slots=True)
class ProjectedRows:
    """Projected gradient on rows of a table.

    steps: gradients per restart. restarts: fresh starts, each on the samples still robust. pace: first step as a share
    of a column's range, 0–1; it shrinks to nothing. momentum: share of the pull carried over, 0–1. loss: "ce", "margin"
    or "dlr". driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="Projected gradient on rows",
        summary="White-box attack on tables; constrained_search should follow: rounding hides gradients from this one.",
        paper="after Simonetto et al. 2022, arXiv:2112.01156 (constrained PGD), with straight-through rounding",
        needs=("gradients",),
        inputs=("row",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 50
    restarts: int = 4
    pace: float = 0.3
    momentum: float = 0.75
    loss: LossName = "margin"
    driving: Driving = DEFAULT

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return allowed rows whose error leads most, of x's shape (n, d).

        Raises UsageError for a threat without constraints, MissingPower for a target without gradients.
        """
        if threat.constraints is None:
            raise UsageError("evasion.projected_rows needs a table's constraints", where=threat.name)
        plan = Plan(rounds=(Round(LOSSES[self.loss], self.steps),) * self.restarts, free=True)
        method = _Method(threat.constraints, target.spec.bounds, self.pace, self.momentum)
        boxed = msgspec.structs.replace(threat, ball=None)
        return drive(method, plan, target, x, y, boxed, rng, self.driving)


def _chosen(where: Rows, soft: Tensor, pull: Tensor, width: Tensor) -> Tensor:
    """Take back all units (n, d) but the `changed` whose moves promise most by the pull on them."""
    if where.changed >= len(where.units):
        return soft
    share = (soft - where.center) / width.clamp(min=torch.finfo(soft.dtype).tiny)
    gain = (pull * share).clamp(min=0) * (width > 0)
    promise = gain.new_zeros(len(gain), len(where.units)).index_add(1, where.unit, gain)
    kept = promise.argsort(dim=1, descending=True, stable=True).argsort(dim=1) < where.changed
    return torch.where(kept[:, where.unit], soft, where.center)
