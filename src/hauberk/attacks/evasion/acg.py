"""ACG: conjugate gradients with the pace of Auto-PGD: it turns more than momentum does and finds other maxima."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from hauberk.attacks.ascent import AUTO_PGD, Ascent, Schedule, begin, checkpoints, judge, remember, wide
from hauberk.attacks.driver import DEFAULT, Driving, Plan, Round, Turn, ball_norm, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region, steepest
from hauberk.numeric.losses import LOSSES, LossName

Tensor = torch.Tensor

_RESCALING = Schedule(0.43, 0.24, 0.08)
"""The checkpoints that go with rescaling, Yamamura et al. 2024, section 4.2."""


@dataclass(frozen=True, slots=True)
class Turning:
    """Where ACG stands; n samples, every tensor but those of `ascent` (n, *shape).

    x: this point. gradient, way: at the point before, its gradient and the conjugate direction taken from it.
    peak_before, peak_way: the same of the point before the peak. ascent: the peak so far and the pace.
    """

    x: Tensor
    gradient: Tensor
    way: Tensor
    peak_before: Tensor
    peak_way: Tensor
    ascent: Ascent


@dataclass(frozen=True, slots=True)
class ACG:
    """Auto-conjugate gradient.

    steps: gradients per restart. loss: "margin" as published, "ce", "dlr" or "probability-margin".
    restarts: fresh random starts, each on the samples still robust. rescaling: ReACG (Yamamura et al. 2024,
    arXiv:2408.03972): where the conjugate part would drown the gradient, it is measured on gradients of unit length;
    the pace is then judged at its own times.
    driving: how the driver runs it (early stop, batch, float type, draws for a model that answers at random).
    """

    card: ClassVar[Card] = Card(
        title="Auto-conjugate gradient",
        summary="Conjugate gradients with adaptive steps: choose it beside Auto-PGD, as it breaks other samples.",
        paper="Yamamura et al. 2022, arXiv:2206.09628",
        needs=("gradients",),
        norms=("linf", "l2"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 100
    loss: LossName = "margin"
    restarts: int = 1
    rescaling: bool = True
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return points of x's shape (n, *shape) inside the ball, broken where it could."""
        ball_norm(threat, self.card.norms, "evasion.acg")
        plan = Plan(rounds=(Round(LOSSES[self.loss], self.steps),) * self.restarts)
        return drive(self, plan, target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Turning:
        """Begin at a random point of the ball, with a pace of its diameter."""
        x = region.scatter(rng)
        nothing = torch.zeros_like(x)
        return Turning(x, nothing, nothing, nothing, nothing, begin(x, 2 * region.radius))

    def step(self, state: Turning, seen: Seen, turn: Turn) -> Turning:
        """Remember the peak, adapt the pace at a checkpoint, and go on in the conjugate direction."""
        ascent, better = remember(state.ascent, state.x, seen)
        broad = wide(better, state.x)
        before = torch.where(broad, state.gradient, state.peak_before)
        way = torch.where(broad, state.way, state.peak_way)
        state = replace(state, ascent=ascent, peak_before=before, peak_way=way)
        gradient = seen.gradient
        window = checkpoints(turn.steps, _RESCALING if self.rescaling else AUTO_PGD).get(turn.index)
        if window is not None:
            state, gradient = _judged(state, gradient, window)
        way = gradient if turn.index == 0 else gradient + wide(self._turn(gradient, state), gradient) * state.way
        where = turn.region
        ahead = where.project(state.x + wide(state.ascent.pace, way) * steepest(way, where.norm))
        return replace(state, x=ahead, gradient=gradient, way=way)

    def _turn(self, gradient: Tensor, state: Turning) -> Tensor:
        """Return β (n,), how much of the last direction goes on, after Hestenes & Stiefel."""
        fresh, old, way = (part.flatten(1) for part in (gradient, state.gradient, state.way))
        plain = _beta(fresh, old, way)
        if not self.rescaling:
            return plain
        unit = _beta(_unit(fresh), _unit(old), way)
        share = torch.where(way != 0, fresh / way.masked_fill(way == 0, 1.0), 0.0).abs().mean(1)
        return torch.where((plain.abs() > share) & (plain.abs() > unit.abs()), unit, plain)


def _judged(state: Turning, gradient: Tensor, window: int) -> tuple[Turning, Tensor]:
    """Where the climb stalls, go on from the peak as if one had just got there."""
    ascent, back = judge(state.ascent, window)
    broad = wide(back, gradient)
    gone = Turning(
        x=torch.where(broad, ascent.peak, state.x),
        gradient=torch.where(broad, state.peak_before, state.gradient),
        way=torch.where(broad, state.peak_way, state.way),
        peak_before=state.peak_before,
        peak_way=state.peak_way,
        ascent=ascent,
    )
    return gone, torch.where(broad, ascent.peak_gradient, gradient)


def _beta(fresh: Tensor, old: Tensor, way: Tensor) -> Tensor:
    """Return ⟨g, g − g′⟩ / ⟨s, g − g′⟩ (n,) for gradients g, g′ of an ascent and its last direction s; 0 for 0 / 0.

    All of it (n, d). The classical rule for an ascent has the opposite sign, but this is what the authors' code runs,
    and the stronger of the two: 4–6 points of robust accuracy with cross-entropy and the ratio on the net of
    benchmarks/attacks/apgd.py.
    """
    change = fresh - old
    under = (way * change).sum(1)
    return torch.where(under != 0, (fresh * change).sum(1) / under.masked_fill(under == 0, 1.0), 0.0)


def _unit(flat: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
    return flat / length.clamp(min=torch.finfo(flat.dtype).tiny)
