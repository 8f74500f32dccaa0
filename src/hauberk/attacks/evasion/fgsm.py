"""FGSM: one step of the ball's radius along the gradient; the cheapest attack there is."""

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
class Stand:
    """Where FGSM stands: x (n, *shape)."""

    x: torch.Tensor


@dataclass(frozen=True, slots=True)
class FGSM:
    """Fast gradient (sign) method.

    pace: length of the step as a share of the radius. random_start: begin at a random point of the ball, as fast
    adversarial training does (Wong et al. 2020, arXiv:2001.03994, with a pace of 1.25).
    random_step: share of the radius, 0–1, spent on a step in a random direction before the gradient is asked for; the
    gradient's step is shorter by it. 0.5 is R+FGSM (Tramèr et al. 2018, arXiv:1705.07204, section 4.1), which gets past
    a gradient that is flat or masked at the clean input; it goes before random_start.
    loss: "ce", "margin", "dlr" or "probability-margin". sparsity: share of coordinates an l1 step moves, 0–1.
    driving: how the driver runs it (early stop, batch, float type, draws for a model that answers at random).
    """

    card: ClassVar[Card] = Card(
        title="Fast gradient sign method",
        summary="One step of the ball's radius along the gradient: a first look that costs two passes.",
        paper="Goodfellow et al. 2015, arXiv:1412.6572",
        needs=("gradients",),
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    pace: float = 1.0
    random_start: bool = False
    random_step: float = 0.0
    loss: LossName = "ce"
    sparsity: float = 0.01
    driving: Driving = DEFAULT

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return points of x's shape (n, *shape) inside the ball; a sample already wrong stays where it is."""
        ball_norm(threat, self.card.norms, "evasion.fgsm")
        plan = Plan(rounds=(Round(LOSSES[self.loss], 1),), last_look=False)
        return drive(self, plan, target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Stand:
        """Begin at the clean input, at a random point of the ball, or a random step away."""
        if not self.random_step:
            return Stand(region.scatter(rng) if self.random_start else region.center)
        noise = torch.randn(region.center.shape, generator=rng, device=rng.device).to(region.center)
        way = steepest(noise, region.norm, self.sparsity)
        return Stand(region.project(region.center.add(way, alpha=self.random_step * region.radius)))

    def step(self, state: Stand, seen: Seen, turn: Turn) -> Stand:
        """Go the whole way at once."""
        where = turn.region
        way = steepest(seen.gradient, where.norm, self.sparsity)
        return Stand(where.project(state.x.add(way, alpha=self.pace * (1 - self.random_step) * where.radius)))
