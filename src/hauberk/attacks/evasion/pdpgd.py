"""PDPGD: Adam down the margin and a proximal map of the norm, weighed by a dual variable that follows the errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.attacks.nearest import free_norm, nearest
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Norm, Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.losses import LOSSES
from hauberk.numeric.moments import Moments, untouched
from hauberk.numeric.proximal import shrink

Tensor = torch.Tensor

# Matyasko & Chau 2021, section 4: what stays of the rates at the end, of the dual mean after a step; the widest ratio.
_PRIMAL_END, _DUAL_END, _DUAL_MEAN, _WIDEST = 0.01, 0.1, 0.9, 13.8

_FLAT = 1e-8
"""What a slope's size is at least in Adam's metric."""

_INNER = 5
"""Proximal steps in Adam's own metric (Melchior et al. 2019, arXiv:1910.10094)."""


@dataclass(frozen=True, slots=True)
class Dual:
    """Where PDPGD stands; n samples.

    x: (n, *shape). memory: Adam's, (n, values). dual: (n,) log of how much more an error counts than the norm.
    share: (n,) running mean of the error's share of the weight, 0–1.
    """

    x: Tensor
    memory: Moments
    dual: Tensor
    share: Tensor


@dataclass(frozen=True, slots=True)
class PDPGD:
    """Primal-dual proximal gradient descent.

    steps: gradients. norm: "l2", "linf", "l1" or "l0", used where the threat has no ball; else its own. rate: Adam's
    first step, as a share of the box. dual_rate: by how much the log of the error's weight changes after a step.
    ratio: weight of the norm over the error's at the start.
    driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="Primal-dual proximal gradient descent",
        summary="The nearest error with the norm itself in the objective, by its proximal map: wants many steps.",
        paper="Matyasko & Chau 2021, arXiv:2106.01538",
        needs=("gradients",),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row", "wave", "frames"),
        nearest=True,
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 500
    norm: Norm = "l2"
    rate: float = 0.1
    dual_rate: float = 0.1
    ratio: float = 0.01
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the nearest errors found, (n, *shape), cut to the threat's ball where it has one."""
        norm = free_norm(threat, self.norm, self.card.norms, "evasion.pdpgd")
        plan = nearest((Round(LOSSES["margin"], self.steps),), norm)
        return drive(self, plan, target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Dual:  # noqa: ARG002
        """Begin at the clean input."""
        x = region.center
        dual = x.new_full((len(x),), self.ratio).log().neg()
        return Dual(x, untouched(x.flatten(1)), dual, dual.sigmoid())

    def step(self, state: Dual, seen: Seen, turn: Turn) -> Dual:
        """Step down softplus(−margin) by Adam, shrink the move, and weigh the error anew (algorithm 2).

        The proximal map takes the norm of moves measured in shares of the box.
        """
        where, late = turn.region, turn.index / max(1, turn.steps)
        span = (where.upper - where.lower).flatten(1)
        slope = -seen.gradient.flatten(1) * span * (-seen.loss).sigmoid().unsqueeze(1)
        memory, pace = state.memory.after(slope), self.rate * _PRIMAL_END**late
        ahead = where.project(state.x - (pace * memory.way() * span).reshape(state.x.shape))
        share = state.share.lerp(state.dual.sigmoid(), 1 - _DUAL_MEAN)
        x = _shrunk(ahead, memory.size() + _FLAT, pace, share, where)
        rate = self.dual_rate * (1 - (1 - _DUAL_END) * late)
        dual = (state.dual - rate * seen.lead.sign()).clamp(-_WIDEST, _WIDEST)
        return Dual(x, memory, dual, share)


def _shrunk(ahead: Tensor, size: Tensor, pace: float, share: Tensor, where: Region) -> Tensor:
    """Minimise norm + the distance to `ahead` in Adam's metric, by a few proximal steps, each inside the box."""
    span = (where.upper - where.lower).flatten(1)
    most = size.amax(1, keepdim=True)
    weight = ((1 - share) / share).unsqueeze(1) * pace / most
    goal = (ahead - where.center).flatten(1) / span
    near, metric = goal, size / most
    for _ in range(_INNER):
        near = shrink(near - metric * (near - goal), weight, where.norm)
        near = (
            torch.minimum(
                torch.maximum(near * span, (where.lower - where.center).flatten(1)),
                (where.upper - where.center).flatten(1),
            )
            / span
        )
    return where.project(where.center + (near * span).reshape(ahead.shape))
