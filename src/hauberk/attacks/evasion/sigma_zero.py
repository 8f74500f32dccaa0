"""σ-zero: descend a smooth stand-in for the number of changed values, and cut small changes to none: few pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.attacks.nearest import free_norm, nearest
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.losses import LOSSES, Aim, Climb
from hauberk.numeric.moments import Moments, untouched

Tensor = torch.Tensor

# Cinà et al. 2024, section 2.3 and algorithm 1.
_FIRST_CUT, _LEAST_PACE = 0.3, 0.1


@dataclass(frozen=True, slots=True)
class Pruned:
    """Where σ-zero stands; n samples.

    x: (n, *shape). memory: Adam's. cut: (n,), changes below this share of a value's range go back to none.
    """

    x: Tensor
    memory: Moments
    cut: Tensor


@dataclass(frozen=True, slots=True)
class SigmaZero:
    """σ-zero.

    steps: gradients. pace: of Adam's first step, as a share of the values' range. sigma: how sharply the stand-in
    δ² / (δ² + sigma) tells a changed value from an unchanged one. turn: by what share of the pace the cut rises after
    an error and falls otherwise.
    driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="σ-zero",
        summary="A smooth count of changed values, descended and pruned: a strong, steady gradient attack in l0.",
        paper="Cinà et al. 2024, arXiv:2402.01879",
        needs=("gradients",),
        norms=("l0",),
        inputs=("chw", "row", "wave", "frames"),
        nearest=True,
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 100
    pace: float = 1.0
    sigma: float = 1e-3
    turn: float = 0.01
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the errors with the fewest changes found, (n, *shape), cut to the threat's ball where it has one."""
        norm = free_norm(threat, "l0", self.card.norms, "evasion.sigma_zero")
        plan = nearest((Round(_until_error, self.steps),), norm)
        return drive(self, plan, target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Pruned:  # noqa: ARG002
        """Begin at the clean input."""
        x = region.center
        return Pruned(x, untouched(x), x.new_full((len(x),), _FIRST_CUT))

    def step(self, state: Pruned, seen: Seen, turn: Turn) -> Pruned:
        """Take Adam's step down (gap + count), stay in the box, adapt the cut, and prune (algorithm 1)."""
        where, column = turn.region, (-1, *[1] * (state.x.ndim - 1))
        span = where.upper - where.lower
        move = (state.x - where.center) / span
        memory = state.memory.after(self._slope(move, seen.gradient * span))
        move = move.sub_(memory.way(), alpha=self._pace(turn.index - 1, turn.steps))
        moved = torch.clamp(where.center + move * span, where.lower, where.upper)
        change = self.turn * self._pace(turn.index, turn.steps)
        cut = (state.cut + torch.where(seen.hit, change, -change)).clamp_(0.0, 1.0)
        kept = (moved - where.center).abs() >= cut.reshape(column) * span
        return Pruned(torch.where(kept, moved, where.center), memory, cut)

    def _slope(self, move: Tensor, climb: Tensor) -> Tensor:
        """Return the slope of gap + mean δ² / (δ² + σ), scaled so that its largest entry is 1 (equation 5)."""
        count = 2 * self.sigma * move / (move.square() + self.sigma).square()
        slope = (count / math.prod(move.shape[1:])).sub_(climb)
        largest = slope.flatten(1).abs().amax(1).clamp(min=torch.finfo(slope.dtype).tiny)
        return slope.div_(largest.reshape(-1, *[1] * (move.ndim - 1)))

    def _pace(self, index: int, steps: int) -> float:
        """Fall along a cosine from the first pace to a tenth of it."""
        if index < 0:
            return self.pace
        return self.pace * (_LEAST_PACE + (1 - _LEAST_PACE) * (1 + math.cos(math.pi * index / steps)) / 2)


def _until_error(logits: Tensor, aim: Aim) -> Climb:
    """Climb the margin up to 0; past the boundary only the count of changes is felt (equation 3)."""
    climb = LOSSES["margin"](logits, aim)
    short = climb.value < 0
    return Climb(climb.value.clamp(max=0.0), climb.slope * short.unsqueeze(1))
