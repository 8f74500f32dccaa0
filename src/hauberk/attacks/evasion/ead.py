"""EAD: trade an elastic net of the move against the margin by shrinkage steps, and search the margin's weight."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.attacks.nearest import free_norm, gap_distance, nearest, wide
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.losses import LOSSES

Tensor = torch.Tensor

_DEARER = 10.0
"""Growth of a weight that bought no error (section 4.1)."""


@dataclass(frozen=True, slots=True)
class Trade:
    """Where EAD stands; n samples.

    x: (n, *shape), FISTA's point ahead, where the slope is taken. shrunk: (n, *shape), the last shrunk point.
    weight: (n,) of the margin; low, high: (n,) weights that bought no error and one. found: (n,) bool, in this search.
    """

    x: Tensor
    shrunk: Tensor
    weight: Tensor
    low: Tensor
    high: Tensor
    found: Tensor


@dataclass(frozen=True, slots=True)
class EAD:
    """Elastic-net attack.

    Ours: a search goes on where the last one ended, and the first weight comes from the slope at the clean input.

    steps: gradients in all. searches: for the weight of the margin, each with its share of the steps. rate: length of a
    step, falling with the square root. sparsity: moves below this share of the box are dropped at each step (β).
    confidence: logits by which an error must lead before the margin counts for nothing. norm: "l1" or "l2", where the
    threat has no ball; else its own. rule: which error is kept where the threat has no ball, the nearest by the "norm"
    (with l1 the paper's L1 rule) or by the "elastic" net β ‖δ‖₁ + ‖δ‖₂² (its EN rule).
    driving: how the driver runs it.
    """

    card: ClassVar[Card] = Card(
        title="Elastic-net attack",
        summary="Sparse small moves by shrinkage: the classic in l1; FMN and ALMA reach smaller norms for less.",
        paper="Chen et al. 2018, arXiv:1709.04114",
        needs=("gradients",),
        norms=("l1", "l2"),
        inputs=("chw", "row", "wave", "frames"),
        nearest=True,
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 500
    searches: int = 5
    rate: float = 0.02
    sparsity: float = 0.01
    confidence: float = 0.0
    norm: Literal["l1", "l2"] = "l1"
    rule: Literal["norm", "elastic"] = "norm"
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the nearest errors found, (n, *shape), cut to the threat's ball where it has one."""
        norm = free_norm(threat, self.norm, self.card.norms, "evasion.ead")
        rounds = (Round(LOSSES["margin"], self.steps),)
        plan = nearest(rounds, norm, measure=self._elastic if self.rule == "elastic" else None)
        return drive(self, plan, target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Trade:  # noqa: ARG002
        """Begin at the clean input."""
        x = region.center
        zero = x.new_zeros(len(x))
        return Trade(x, x, zero, zero, zero + torch.inf, torch.zeros_like(zero, dtype=torch.bool))

    def step(self, state: Trade, seen: Seen, turn: Turn) -> Trade:
        """Go down the slope, shrink, and look ahead by FISTA (section 4.1); choose the next search's weight."""
        each = max(1, math.ceil(turn.steps / self.searches))
        where, done = turn.region, turn.index % each
        if not turn.index:
            far = gap_distance(seen, "l2", "margin")
            weight = 2 * far * far / seen.loss.abs()
            state = replace(state, weight=torch.where(torch.isfinite(weight), weight, 1.0))
        elif not done:
            state = _reopened(state)
        state = replace(state, found=state.found | seen.hit)
        move = state.x - where.center
        counts = torch.where(seen.loss < self.confidence, state.weight, 0.0)
        pace = self.rate * math.sqrt(1 - done / each)
        move = move - pace * (2 * move - wide(counts, move) * seen.gradient)
        shrunk = where.project(where.center + _soft(move, self.sparsity * (where.upper - where.lower)))
        ahead = shrunk + done / (done + 3) * (shrunk - state.shrunk)
        return replace(state, x=where.project(ahead), shrunk=shrunk)

    def _elastic(self, move: Tensor, where: Region) -> Tensor:
        threshold = self.sparsity * (where.upper - where.lower)
        return (threshold * move.abs() + move.square()).flatten(1).sum(1)


def _soft(move: Tensor, threshold: Tensor) -> Tensor:
    return (move.abs() - threshold).clamp(min=0).copysign(move)


def _reopened(state: Trade) -> Trade:
    """Begin the next search where the last one ended: with a cheaper margin after an error, else with a dearer one."""
    low = torch.where(state.found, state.low, state.weight)
    high = torch.where(state.found, state.weight, state.high)
    weight = torch.where(torch.isinf(high), low * _DEARER, (low + high) / 2)
    fresh = torch.zeros_like(state.found)
    return replace(state, shrunk=state.x, weight=weight, low=low, high=high, found=fresh)
