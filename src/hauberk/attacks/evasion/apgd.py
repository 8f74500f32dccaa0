"""Auto-PGD: gradient steps with momentum whose size adapts to progress, so that nothing has to be tuned."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from hauberk.attacks.ascent import Ascent, begin, checkpoints, judge, remember, wide
from hauberk.attacks.driver import DEFAULT, Driving, Plan, Round, Turn, ball_norm, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region, steepest
from hauberk.numeric.draws import normal
from hauberk.numeric.losses import LOSSES

Tensor = torch.Tensor

_MOMENTUM = 0.75
"""alpha of Croce & Hein 2020, section 3.1."""

# Croce & Hein 2021, section 4: first share of coordinates, period, shrinking of sparsity and pace, least pace.
_L1_SHARE, _L1_PERIOD, _L1_SHRINK, _L1_STALL, _L1_LEAST = 0.2, 0.04, 1.5, 0.95, 0.1
_L1_ONE = 1.5


@dataclass(frozen=True, slots=True)
class Climber:
    """Where APGD stands; n samples.

    x, previous: (n, *shape), this point and the one before. ascent: the peak so far and the pace.
    support, support_then: (n,) coordinates an l1 step moves; those the peak had moved at the last checkpoint.
    """

    x: Tensor
    previous: Tensor
    ascent: Ascent
    support: Tensor
    support_then: Tensor


@dataclass(frozen=True, slots=True)
class APGD:
    """Auto-PGD.

    steps: gradients in all per restart, shared out over the losses. loss: "ce", "margin", "dlr", "probability-margin";
    "ce+margin" gives half of the steps to each; "dlr-targets" spends `steps` on each of the `targets` likeliest other
    classes, or once on the threat's target class. restarts: fresh random starts, each on the samples still robust.
    targets: for "dlr-targets" only.
    driving: how the driver runs it (early stop, batch, float type, draws for a model that answers at random).
    """

    card: ClassVar[Card] = Card(
        title="Auto-PGD",
        summary="Parameter-free PGD with momentum and adaptive steps: the strongest fixed-budget gradient attack here.",
        paper="Croce & Hein 2020, arXiv:2003.01690; in l1 Croce & Hein 2021, arXiv:2103.01208",
        needs=("gradients",),
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 100
    loss: Literal["ce", "margin", "dlr", "probability-margin", "ce+margin", "dlr-targets"] = "ce+margin"
    restarts: int = 1
    targets: int = 9
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return points of x's shape (n, *shape) inside the ball, broken where it could."""
        ball_norm(threat, self.card.norms, "evasion.apgd")
        plan = Plan(rounds=self._rounds(wanted=threat.target_class is not None) * self.restarts)
        return drive(self, plan, target, x, y, threat, rng, self.driving)

    def _rounds(self, *, wanted: bool) -> tuple[Round, ...]:
        if self.loss == "dlr-targets":
            if wanted:
                return (Round(LOSSES["dlr"], self.steps),)
            return tuple(Round(LOSSES["dlr"], self.steps, rank) for rank in range(1, self.targets + 1))
        if self.loss == "ce+margin":
            half = math.ceil(self.steps / 2)
            return (Round(LOSSES["ce"], half), Round(LOSSES["margin"], self.steps - half))
        return (Round(LOSSES[self.loss], self.steps),)

    def start(self, region: Region, rng: torch.Generator) -> Climber:
        """Begin at a random point of the ball, with a pace of its diameter (l1: of its radius).

        In l1 noise is projected, as published: it begins at few coordinates on the border and not at many inside, which
        costs 2–3 points of robust accuracy (measured).
        """
        if region.norm == "l1":
            x = region.project(region.center + normal(tuple(region.center.shape), region.center, rng))
        else:
            x = region.scatter(rng)
        whole, zero = math.prod(x.shape[1:]), x.new_zeros(len(x))
        ascent = begin(x, region.radius * (1 if region.norm == "l1" else 2))
        return Climber(x, x, ascent, zero + _L1_SHARE * whole, zero + whole)

    def step(self, state: Climber, seen: Seen, turn: Turn) -> Climber:
        """Remember the peak, adapt the pace at a checkpoint, and go on."""
        ascent, _ = remember(state.ascent, state.x, seen)
        state, gradient = replace(state, ascent=ascent), seen.gradient
        if turn.region.norm == "l1":
            return _sparse_step(state, gradient, turn)
        window = checkpoints(turn.steps).get(turn.index)
        if window is not None:
            ascent, back = judge(ascent, window)
            state, gradient = _back(replace(state, ascent=ascent), gradient, back)
        return _momentum_step(state, gradient, turn)


def _back(state: Climber, gradient: Tensor, back: Tensor) -> tuple[Climber, Tensor]:
    """Go on from the peak where `back` (n,) says so."""
    broad, ascent = wide(back, gradient), state.ascent
    x = torch.where(broad, ascent.peak, state.x)
    return replace(state, x=x), torch.where(broad, ascent.peak_gradient, gradient)


def _momentum_step(state: Climber, gradient: Tensor, turn: Turn) -> Climber:
    """Equation 3 of Croce & Hein 2020; the first step has no momentum."""
    where = turn.region
    ahead = state.x + wide(state.ascent.pace, state.x) * steepest(gradient, where.norm)
    if turn.index:
        move = _MOMENTUM * (where.approach(ahead) - state.x) + (1 - _MOMENTUM) * (state.x - state.previous)
        ahead = state.x + move
    return replace(state, x=where.project(ahead), previous=state.x)


def _sparse_step(state: Climber, gradient: Tensor, turn: Turn) -> Climber:
    """Move the steepest coordinates by equal parts; how many follows how many the peak needed."""
    where, period = turn.region, max(1, math.ceil(_L1_PERIOD * turn.steps))
    if turn.index and turn.index % period == 0:
        state, gradient = _adapt_support(state, gradient, where)
    flat = gradient.flatten(1).abs()
    # Rounded up as published, but two may become one: else a linear model's optimum is out of reach.
    count = torch.where(state.support < _L1_ONE, 1.0, state.support.ceil()).clamp(1, flat.shape[1]).long()
    least = flat.sort(dim=1, descending=True).values.gather(1, count.unsqueeze(1) - 1)
    sign = (gradient.flatten(1).sign() * (flat >= least)).reshape(gradient.shape)
    length = sign.flatten(1).abs().sum(1).clamp(min=1)
    ahead = where.project(state.x + wide(state.ascent.pace / length, sign) * sign)
    return replace(state, x=ahead, previous=state.x)


def _adapt_support(state: Climber, gradient: Tensor, where: Region) -> tuple[Climber, Tensor]:
    """Start again from the peak at full pace where it got sparser; else keep on with a smaller pace."""
    ascent = state.ascent
    moved = (ascent.peak != where.center).flatten(1).sum(1).to(state.support.dtype)
    sparser = moved < _L1_STALL * state.support_then
    slower = (ascent.pace / _L1_SHRINK).clamp(min=_L1_LEAST * where.radius)
    pace = torch.where(sparser, torch.full_like(slower, where.radius), slower)
    state, gradient = _back(replace(state, ascent=replace(ascent, pace=pace)), gradient, sparser)
    return replace(state, support=moved / _L1_SHRINK, support_then=moved), gradient
