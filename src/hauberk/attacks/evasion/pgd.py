"""PGD: walk up the loss in steps of fixed size, each projected back onto the ball; the baseline of every evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Plan, Round, Turn, ball_norm, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region, steepest
from hauberk.numeric.losses import LOSSES, LossName


@dataclass(frozen=True, slots=True)
class Walk:
    """Where PGD stands: x (n, *shape)."""

    x: torch.Tensor


@dataclass(frozen=True, slots=True)
class PGD:
    """Projected gradient descent.

    steps: gradients per restart. pace: length of a step as a share of the radius. restarts: fresh random starts, each
    on the samples still robust. random_start: begin at a random point of the ball instead of the clean input.
    loss: "ce", "margin" or "dlr". sparsity: share of coordinates an l1 step moves, 0–1 (the steepest ones).
    driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="Projected gradient descent",
        summary="Fixed steps along the gradient, projected onto the ball: the baseline every evaluation reports.",
        paper="Madry et al. 2018, arXiv:1706.06083",
        needs=("gradients",),
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 40
    pace: float = 0.1
    restarts: int = 1
    random_start: bool = True
    loss: LossName = "ce"
    sparsity: float = 0.01
    driving: Driving = DEFAULT

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return points of x's shape (n, *shape) inside the ball, broken where it could."""
        ball_norm(threat, self.card.norms, "evasion.pgd")
        plan = Plan(rounds=(Round(LOSSES[self.loss], self.steps),) * self.restarts)
        return drive(self, plan, target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Walk:
        """Begin at a random point of the ball or at the clean input."""
        return Walk(region.scatter(rng) if self.random_start else region.center)

    def step(self, state: Walk, seen: Seen, turn: Turn) -> Walk:
        """Go one pace up the loss and back into the ball."""
        where = turn.region
        way = steepest(seen.gradient, where.norm, self.sparsity)
        return Walk(where.project(state.x.add(way, alpha=self.pace * where.radius)))
