"""ALMA: minimise the distance under an augmented Lagrangian of "it errs", one multiplier a sample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.attacks.nearest import free_norm, gap_distance, nearest, wide
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Norm, Threat
from hauberk.numeric.balls import Region, size
from hauberk.numeric.losses import LOSSES

Tensor = torch.Tensor

# Rony et al. 2021, section 4 and algorithm 1: M, tau, gamma, the bounds of mu; beyond the boundary by this much DLR.
_CHECK, _PROGRESS, _GROWTH = 10, 0.95, 1.2
_LEAST, _MOST = 1e-6, 1e12
_BEYOND = 1e-4
_FINITE = 1e-8

_FIRST_SLOPE = 1.0
"""Length the first slope is scaled to: RMSProp starts from mean squares of 1, which says nothing of a model's scale."""
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Multiplied:
    """Where ALMA stands; n samples.

    x: (n, *shape). square, momentum: (n, *shape), RMSProp's means. multiplier, penalty: (n,), the Lagrangian's μ and ρ.
    rate: (n,) step at the start. unit: (n,) what slopes are measured in. gap: (n,) of the constraint at the last check.
    found: (n,) step of the first error, or infinite.
    """

    x: Tensor
    square: Tensor
    momentum: Tensor
    multiplier: Tensor
    penalty: Tensor
    rate: Tensor
    unit: Tensor
    gap: Tensor
    found: Tensor


@dataclass(frozen=True, slots=True)
class ALMA:
    """Augmented Lagrangian method for adversarial attacks.

    steps: gradients. norm: "l2" or "l1", used where the threat has no ball; else its own. first: length of the first
    step, as a share of the linearised distance to the boundary. decay: what stays of the means of gradients, squares
    and multipliers after a step, 0–1; 0.9 wants a thousand steps. slowing: share of the rate that is left at the end.
    driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="Augmented Lagrangian method",
        summary="The nearest error by constrained optimisation: with FMN the smallest l2 and l1 norms here.",
        paper="Rony et al. 2021, arXiv:2011.11857",
        needs=("gradients",),
        norms=("l2", "l1"),
        inputs=("chw", "row", "wave", "frames"),
        nearest=True,
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 100
    norm: Literal["l2", "l1"] = "l2"
    first: float = 0.2
    decay: float = 0.3
    slowing: float = 0.01
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the nearest errors found, (n, *shape), cut to the threat's ball where it has one."""
        norm = free_norm(threat, self.norm, self.card.norms, "evasion.alma")
        plan = nearest((Round(LOSSES["dlr"], self.steps),), norm)
        return drive(self, plan, target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Multiplied:  # noqa: ARG002
        """Begin at the clean input, with multiplier and penalty 1."""
        x = region.center
        one = x.new_ones(len(x))
        return Multiplied(x, torch.ones_like(x), torch.zeros_like(x), one, one, one, one, one, one * torch.inf)

    def step(self, state: Multiplied, seen: Seen, turn: Turn) -> Multiplied:
        """Go down distance + penalty by RMSProp with momentum, in units of the box (algorithm 1)."""
        where, span = turn.region, turn.region.upper - turn.region.lower
        gap = _BEYOND - seen.loss
        state = self._multiplied(state, gap, seen.hit, turn.index)
        slope = -seen.gradient * span * wide(_penalty_slope(gap, state.penalty, state.multiplier), span)
        if turn.index:
            slope = slope + _distance_slope((state.x - where.center) / span, where.norm)
        else:
            far = self.first * gap_distance(seen, where.norm, "dlr")
            unit = size(slope, "l2").clamp(min=torch.finfo(slope.dtype).tiny) / _FIRST_SLOPE
            rate = _first_rate(slope * span / wide(unit, span), far, where)
            state = replace(state, rate=rate, unit=unit)
        slope = slope / wide(state.unit, span)
        square = state.square.lerp(slope.square(), 1 - self.decay)
        momentum = torch.addcdiv(state.momentum * self.decay, slope, square.sqrt().add_(_FINITE))
        late = (turn.index - state.found).clamp(min=0) / (turn.steps - state.found.clamp(max=turn.steps - 1))
        pace = state.rate * self.slowing**late
        x = where.project(torch.addcmul(state.x, momentum, wide(pace, span) * span, value=-1))
        return replace(state, x=x, square=square, momentum=momentum)

    def _multiplied(self, state: Multiplied, gap: Tensor, hit: Tensor, index: int) -> Multiplied:
        """Move the multiplier towards the penalty's slope; harden the penalty where no error is found nor nears."""
        found = torch.where(hit, state.found.clamp(max=index), state.found)
        if not index:
            return replace(state, found=found, gap=gap)
        penalty, then = state.penalty, state.gap
        if (index + 1) % _CHECK == 0:
            penalty = torch.where(torch.isinf(state.found) & (gap >= _PROGRESS * then), penalty * _GROWTH, penalty)
            then = gap
        fresh = _penalty_slope(gap, penalty, state.multiplier)
        multiplier = state.multiplier.lerp(fresh, 1 - self.decay).clamp(_LEAST, _MOST)
        return replace(state, found=found, gap=then, penalty=penalty, multiplier=multiplier)


def _penalty_slope(gap: Tensor, rho: Tensor, mu: Tensor) -> Tensor:
    """Slope by the gap (n,) of P₂ (section 3.1): μ(1 + 2ρg) + ρ²g²/2 where the gap g is above 0, else μ/(1 − ρg)²."""
    above = mu * (1 + 2 * rho * gap) + (rho * gap).square() / 2
    return torch.where(gap >= 0, above, mu / (1 - rho * gap.clamp(max=0)).square())


def _distance_slope(move: Tensor, norm: Norm) -> Tensor:
    if norm == "l1":
        return move.sign()
    return move / wide(size(move, "l2").clamp(min=torch.finfo(move.dtype).tiny), move)


def _first_rate(slope: Tensor, far: Tensor, where: Region) -> Tensor:
    """Find the rate (n,) whose first step, cut by the box, goes as far as `far` (n,); 0 where there is no slope."""
    goal = far.masked_fill(torch.isinf(far), 0.0)
    rate = goal / size(slope, where.norm).clamp(min=torch.finfo(slope.dtype).tiny)
    for _ in range(_ROUNDS):
        gone = where.distance(where.project(where.center - wide(rate, slope) * slope))
        rate = rate * (goal / gone.clamp(min=torch.finfo(slope.dtype).tiny)).clamp(max=2.0)
    return rate
