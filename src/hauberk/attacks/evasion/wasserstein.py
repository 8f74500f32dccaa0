"""Wasserstein attack: move the mass of pixels a little way, as blurs and shifts do, instead of adding to each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Plan, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.attacks.nearest import free_norm
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.losses import LOSSES, LossName
from hauberk.numeric.sinkhorn import Haul, onto_wasserstein

Tensor = torch.Tensor

_LEAST_MASS = 1e-6
"""An image without any mass has none to move."""


@dataclass(frozen=True, slots=True)
class Heap:
    """Where the attack stands; n samples.

    x: (n, c, h, w). beta, price: where the last projection ended, (n, c, h, w) and (n,), for the next to start from.
    """

    x: Tensor
    beta: Tensor
    price: Tensor


@dataclass(frozen=True, slots=True)
class Wasserstein:
    """Projected Sinkhorn attack.

    A threat has no Wasserstein ball: the radius is the attack's own, and what comes back is cut to the threat's ball in
    linf, if it has one, so that the attack finds errors of its kind inside that.

    steps: gradients. radius: the mean way of an image's mass, in pixels. pace: length of a step as a share of the
    values' range. window: side of the square of pixels mass moves in, odd. sharpness: the larger, the nearer the
    projection to the true one; rounds: of its updates. loss: "ce", "margin", "dlr" or "probability-margin".
    driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="Projected Sinkhorn attack",
        summary="Shifts mass between near pixels: what linf and l2 do not measure; where they do, PGD is stronger.",
        paper="Wong et al. 2019, arXiv:1902.07906",
        needs=("gradients",),
        norms=("linf",),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 40
    radius: float = 0.5
    pace: float = 0.1
    window: int = 5
    sharpness: float = 1000.0
    rounds: int = 10
    loss: LossName = "ce"
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return images (n, c, h, w) with mass moved, inside the threat's ball where it has one."""
        norm = free_norm(threat, "linf", self.card.norms, "evasion.wasserstein")
        plan = Plan(rounds=(Round(LOSSES[self.loss], self.steps),), free=threat.ball is None, norm=norm)
        low, high = target.spec.bounds
        return drive(Hauling(self, low, high), plan, target, x, y, threat, rng, self.driving)


@dataclass(frozen=True, slots=True)
class Hauling:
    """The attack's walk. low, high: the target's bounds; mass is what lies above the lower one."""

    attack: Wasserstein
    low: float
    high: float

    def start(self, region: Region, rng: torch.Generator) -> Heap:  # noqa: ARG002
        """Begin at the clean image."""
        x = region.center
        return Heap(x, torch.zeros_like(x, dtype=torch.float64), torch.ones(len(x), dtype=torch.float64).to(x.device))

    def step(self, state: Heap, seen: Seen, turn: Turn) -> Heap:
        """Go one pace up the loss, back into the Wasserstein ball, and into the region."""
        attack, where = self.attack, turn.region
        wish = state.x + attack.pace * (self.high - self.low) * seen.gradient.sign()
        clean = (where.center - self.low).double()
        mass = clean.flatten(1).sum(1).clamp(min=_LEAST_MASS).reshape(-1, 1, 1, 1)
        haul = onto_wasserstein(
            (wish - self.low) / mass,
            clean / mass,
            Haul(clean, state.beta, state.price),
            radius=attack.radius,
            side=attack.window,
            sharpness=attack.sharpness,
            rounds=attack.rounds,
        )
        return Heap(where.project((haul.point * mass).to(state.x) + self.low), haul.beta, haul.price)
