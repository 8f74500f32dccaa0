"""Auto-PGD: gradient steps with momentum whose size adapts to progress, so that nothing has to be tuned."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import ClassVar, Literal

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Plan, Round, Turn, ball_norm, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region, steepest
from hauberk.numeric.losses import LOSSES

Tensor = torch.Tensor

# Croce & Hein 2020: alpha of section 3.1, rho of section 3.2, the checkpoints of section 3.4.
_MOMENTUM = 0.75
_SUCCESSES = 0.75
_FIRST_CHECK, _NARROWER, _NARROWEST = 0.22, 0.03, 0.06

# Croce & Hein 2021, section 4: first share of coordinates, period, shrinking of sparsity and pace, least pace.
_L1_SHARE, _L1_PERIOD, _L1_SHRINK, _L1_STALL, _L1_LEAST = 0.2, 0.04, 1.5, 0.95, 0.1


@dataclass(frozen=True, slots=True)
class Climber:
    """Where APGD stands; n samples.

    x, previous: (n, *shape), this point and the one before. peak, peak_gradient: the point of highest loss and its
    gradient. loss, peak_loss: (n,) at the last point and at the peak. gains: (n,) rises since the last checkpoint.
    pace: (n,) length of a step. pace_then, peak_then: (n,) pace and highest loss at the last checkpoint.
    support, support_then: (n,) coordinates an l1 step moves; those the peak had moved at the last checkpoint.
    """

    x: Tensor
    previous: Tensor
    peak: Tensor
    peak_gradient: Tensor
    loss: Tensor
    peak_loss: Tensor
    gains: Tensor
    pace: Tensor
    pace_then: Tensor
    peak_then: Tensor
    support: Tensor
    support_then: Tensor


@dataclass(frozen=True, slots=True)
class APGD:
    """Auto-PGD.

    steps: gradients in all per restart, shared out over the losses. loss: "ce", "margin", "dlr"; "ce+margin" gives half
    of the steps to each; "dlr-targets" spends `steps` on each of the `targets` likeliest other classes.
    restarts: fresh random starts, each on the samples still robust. targets: for "dlr-targets" only.
    driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="Auto-PGD",
        summary="Parameter-free PGD with momentum and adaptive steps: the strongest fixed-budget gradient attack here.",
        paper="Croce & Hein 2020, arXiv:2003.01690; in l1 Croce & Hein 2021, arXiv:2103.01208",
        needs=("gradients",),
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 100
    loss: Literal["ce", "margin", "dlr", "ce+margin", "dlr-targets"] = "ce+margin"
    restarts: int = 1
    targets: int = 9
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return points of x's shape (n, *shape) inside the ball, broken where it could."""
        ball_norm(threat, self.card.norms, "evasion.apgd")
        plan = Plan(rounds=self._rounds() * self.restarts)
        return drive(self, plan, target, x, y, threat, rng, self.driving)

    def _rounds(self) -> tuple[Round, ...]:
        if self.loss == "dlr-targets":
            return tuple(Round(LOSSES["dlr"], self.steps, rank) for rank in range(1, self.targets + 1))
        if self.loss == "ce+margin":
            half = math.ceil(self.steps / 2)
            return (Round(LOSSES["ce"], half), Round(LOSSES["margin"], self.steps - half))
        return (Round(LOSSES[self.loss], self.steps),)

    def start(self, region: Region, rng: torch.Generator) -> Climber:
        """Begin at a random point of the ball, with a pace of its diameter (l1: of its radius)."""
        x = region.scatter(rng)
        whole = math.prod(x.shape[1:])
        zero, low = x.new_zeros(len(x)), x.new_full((len(x),), -torch.inf)
        pace = zero + region.radius * (1 if region.norm == "l1" else 2)
        share, every = zero + _L1_SHARE * whole, zero + whole
        return Climber(x, x, x, torch.zeros_like(x), low, low, zero, pace, pace, low, share, every)

    def step(self, state: Climber, seen: Seen, turn: Turn) -> Climber:
        """Remember the peak, adapt the pace at a checkpoint, and go on."""
        state = _remember(state, seen)
        if turn.region.norm == "l1":
            return _sparse_step(state, seen.gradient, turn)
        gradient = seen.gradient
        window = checkpoints(turn.steps).get(turn.index)
        if window is not None:
            state, gradient = _adapt(state, gradient, window)
        return _momentum_step(state, gradient, turn)


@cache
def checkpoints(steps: int) -> dict[int, int]:
    """Return the steps at which the pace is judged, each with the steps since the one before.

    p₀ = 0, p₁ = 0.22, p_{j+1} = p_j + max(p_j − p_{j−1} − 0.03, 0.06), in shares of all steps.
    """
    shares = [0.0, _FIRST_CHECK]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - _NARROWER, _NARROWEST))
    # Rounded before it is rounded up: 0.57 · 100 is 56.99… or 57.00…01 as the platform has it.
    marks = [math.ceil(round(share * steps, 6)) for share in shares if share <= 1]
    return {later: later - earlier for earlier, later in pairwise(marks) if later > earlier}


def _remember(state: Climber, seen: Seen) -> Climber:
    risen = seen.loss > state.loss
    better = seen.loss > state.peak_loss
    first = torch.isinf(state.loss)
    return replace(
        state,
        loss=seen.loss,
        gains=state.gains + (risen & ~first),
        peak=torch.where(_wide(better, state.x), state.x, state.peak),
        peak_gradient=torch.where(_wide(better, state.x), seen.gradient, state.peak_gradient),
        peak_loss=torch.where(better, seen.loss, state.peak_loss),
    )


def _adapt(state: Climber, gradient: Tensor, window: int) -> tuple[Climber, Tensor]:
    """Halve the pace and go back to the peak where the last steps rose too seldom or found nothing higher."""
    seldom = state.gains < _SUCCESSES * window
    stuck = (state.pace == state.pace_then) & (state.peak_loss == state.peak_then)
    back = seldom | stuck
    gradient, x = _back(state, gradient, back)
    pace = torch.where(back, state.pace / 2, state.pace)
    zero = torch.zeros_like(state.gains)
    return replace(state, x=x, pace=pace, pace_then=state.pace, peak_then=state.peak_loss, gains=zero), gradient


def _back(state: Climber, gradient: Tensor, back: Tensor) -> tuple[Tensor, Tensor]:
    wide = _wide(back, gradient)
    return torch.where(wide, state.peak_gradient, gradient), torch.where(wide, state.peak, state.x)


def _momentum_step(state: Climber, gradient: Tensor, turn: Turn) -> Climber:
    """Equation 3 of Croce & Hein 2020; the first step has no momentum."""
    where = turn.region
    ahead = where.project(state.x + _wide(state.pace, state.x) * steepest(gradient, where.norm))
    if turn.index:
        move = _MOMENTUM * (ahead - state.x) + (1 - _MOMENTUM) * (state.x - state.previous)
        ahead = where.project(state.x + move)
    return replace(state, x=ahead, previous=state.x)


def _sparse_step(state: Climber, gradient: Tensor, turn: Turn) -> Climber:
    """Move the steepest coordinates by equal parts; how many follows how many the peak needed."""
    where, period = turn.region, max(1, math.ceil(_L1_PERIOD * turn.steps))
    if turn.index and turn.index % period == 0:
        state, gradient = _adapt_support(state, gradient, where)
    flat = gradient.flatten(1).abs()
    count = state.support.round().clamp(1, flat.shape[1]).long()
    least = flat.sort(dim=1, descending=True).values.gather(1, count.unsqueeze(1) - 1)
    sign = (gradient.flatten(1).sign() * (flat >= least)).reshape(gradient.shape)
    length = sign.flatten(1).abs().sum(1).clamp(min=1)
    return replace(state, x=where.project(state.x + _wide(state.pace / length, sign) * sign), previous=state.x)


def _adapt_support(state: Climber, gradient: Tensor, where: Region) -> tuple[Climber, Tensor]:
    """Start again from the peak at full pace where it got sparser; else keep on with a smaller pace."""
    moved = (state.peak != where.center).flatten(1).sum(1).to(state.support.dtype)
    sparser = moved < _L1_STALL * state.support_then
    gradient, x = _back(state, gradient, sparser)
    slower = (state.pace / _L1_SHRINK).clamp(min=_L1_LEAST * where.radius)
    pace = torch.where(sparser, torch.full_like(slower, where.radius), slower)
    return replace(state, x=x, pace=pace, support=moved / _L1_SHRINK, support_then=moved), gradient


def _wide(values: Tensor, like: Tensor) -> Tensor:
    """Shape (n,) as (n, 1, …) to go with (n, *shape)."""
    return values.reshape(-1, *(1,) * (like.ndim - 1))
