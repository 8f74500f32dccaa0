"""The pace of Auto-PGD and its kin: halved, and the peak gone back to, where the loss rises too seldom."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import torch

from hauberk.attacks.driving_oracle import Seen

Tensor = torch.Tensor

_SUCCESSES = 0.75
"""Share of steps since the last checkpoint that must have risen (rho of section 3.2)."""


class Schedule(NamedTuple):
    """When the pace is judged, in shares of all steps: the first time, by how much less each time, and the least."""

    first: float = 0.22
    narrower: float = 0.03
    narrowest: float = 0.06


AUTO_PGD = Schedule()
"""Section 3.4 of Croce & Hein 2020, arXiv:2003.01690."""


@dataclass(frozen=True, slots=True)
class Ascent:
    """What n climbers remember of their way.

    peak, peak_gradient: (n, *shape), the point of highest loss and the gradient there. peak_loss: (n,) that loss.
    loss: (n,) at the last point. gains: (n,) rises since the last checkpoint. pace: (n,) length of a step.
    pace_then, peak_then: (n,) pace and highest loss at the last checkpoint.
    """

    peak: Tensor
    peak_gradient: Tensor
    peak_loss: Tensor
    loss: Tensor
    gains: Tensor
    pace: Tensor
    pace_then: Tensor
    peak_then: Tensor


def begin(x: Tensor, pace: float) -> Ascent:
    """Start at points x (n, *shape) that nobody has looked at yet, with steps of length `pace`."""
    zero, low = x.new_zeros(len(x)), x.new_full((len(x),), -torch.inf)
    length = zero + pace
    return Ascent(x, torch.zeros_like(x), low, low, zero, length, length, low)


def remember(ascent: Ascent, x: Tensor, seen: Seen) -> tuple[Ascent, Tensor]:
    """Note what was seen at x (n, *shape); also tell where (n,) bool it is the new peak."""
    risen = (seen.loss > ascent.loss) & ~torch.isinf(ascent.loss)
    better = seen.loss > ascent.peak_loss
    noted = replace(
        ascent,
        peak=torch.where(wide(better, x), x, ascent.peak),
        peak_gradient=torch.where(wide(better, x), seen.gradient, ascent.peak_gradient),
        peak_loss=torch.where(better, seen.loss, ascent.peak_loss),
        loss=seen.loss,
        gains=ascent.gains + risen,
    )
    return noted, better


def judge(ascent: Ascent, window: int) -> tuple[Ascent, Tensor]:
    """Halve the pace where the last `window` steps rose too seldom or found nothing higher.

    Also tells where (n,) bool that is: there the search goes on from the peak.
    """
    seldom = ascent.gains < _SUCCESSES * window
    stuck = (ascent.pace == ascent.pace_then) & (ascent.peak_loss == ascent.peak_then)
    back = seldom | stuck
    judged = replace(
        ascent,
        gains=torch.zeros_like(ascent.gains),
        pace=torch.where(back, ascent.pace / 2, ascent.pace),
        pace_then=ascent.pace,
        peak_then=ascent.peak_loss,
    )
    return judged, back


@cache
def checkpoints(steps: int, schedule: Schedule = AUTO_PGD) -> dict[int, int]:
    """Return the steps at which the pace is judged, each with the steps since the one before.

    p₀ = 0, p₁ = first, p_{j+1} = p_j + max(p_j − p_{j−1} − narrower, narrowest), in shares of all steps.
    """
    shares = [0.0, schedule.first]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - schedule.narrower, schedule.narrowest))
    # Rounded before it is rounded up: 0.57 · 100 is 56.99… or 57.00…01 as the platform has it.
    marks = [math.ceil(round(share * steps, 6)) for share in shares if share <= 1]
    return {later: later - earlier for earlier, later in pairwise(marks) if later > earlier}


def wide(values: Tensor, like: Tensor) -> Tensor:
    """Shape (n,) as (n, 1, …) to go with (n, *shape)."""
    return values.reshape(-1, *(1,) * (like.ndim - 1))
