"""Shadow attack: a change of any size that stays smooth, faint and colourless, as a shadow does."""

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
from hauberk.numeric.balls import Region, steepest
from hauberk.numeric.losses import LOSSES

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Shade:
    """Where the attack stands: x (n, c, h, w)."""

    x: Tensor


@dataclass(frozen=True, slots=True)
class Shadow:
    """Shadow attack.

    steps: gradients. pace: length of a step as a share of the box's diagonal. smooth: weight of the change's total
    variation. faint: weight of its mean size per channel. grey: weight of the difference between channels.
    driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="Shadow attack",
        summary="Smooth, colourless changes outside any small ball: what certificates in l2 and linf do not speak of.",
        paper="Ghiasi et al. 2020, arXiv:2003.08937",
        needs=("gradients",),
        norms=("linf", "l2"),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 100
    pace: float = 0.01
    smooth: float = 0.3
    faint: float = 1.0
    grey: float = 0.5
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return smoothly changed images (n, c, h, w); inside the threat's ball where it has one, which few need."""
        norm = free_norm(threat, "l2", self.card.norms, "evasion.shadow")
        plan = Plan(rounds=(Round(LOSSES["ce"], self.steps),), free=threat.ball is None, norm=norm)
        return drive(self, plan, target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Shade:  # noqa: ARG002
        """Begin at the clean image."""
        return Shade(region.center)

    def step(self, state: Shade, seen: Seen, turn: Turn) -> Shade:
        """Go up the loss less the three penalties (equation 2)."""
        where = turn.region
        span = (where.upper - where.lower).clamp(min=torch.finfo(torch.float32).tiny)
        penalty = self._slope((state.x - where.center) / span)
        way = steepest(seen.gradient * span - penalty, "l2")
        length = self.pace * span.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
        return Shade(where.project(state.x + length * way))

    def _slope(self, move: Tensor) -> Tensor:
        """Return the slope of the penalties by a change (n, c, h, w) in shares of the values' range."""
        pixels = move.shape[2] * move.shape[3]
        down, right = move.diff(dim=2).sign(), move.diff(dim=3).sign()
        rough = torch.zeros_like(move)
        rough[:, :, 1:] += down
        rough[:, :, :-1] -= down
        rough[:, :, :, 1:] += right
        rough[:, :, :, :-1] -= right
        size = 2 * move.abs().mean((2, 3), keepdim=True) * move.sign()
        channels = move.shape[1]
        colour = 2 * (channels * move - move.sum(1, keepdim=True))
        return (self.smooth * rough + self.faint * size + self.grey * colour) / pixels
