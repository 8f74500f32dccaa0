"""FMN: step along the gradient, then onto a ball whose radius follows the distance to the boundary, in every norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.attacks.nearest import follow, free_norm, gap_distance, nearest, wide
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Norm, Threat
from hauberk.numeric.balls import Region, size, steepest
from hauberk.numeric.losses import LOSSES, LossName
from hauberk.numeric.projections import onto_l0, onto_l1, onto_sphere

Tensor = torch.Tensor

_SLOWEST = 0.01
"""Share of the pace at the end of the cosine (section 2.3)."""

_L0_SHARES = 0.5, 0.01
"""By how much a count of coordinates changes, at the start and at the end: there is no distance to follow in l0."""


@dataclass(frozen=True, slots=True)
class Shell:
    """Where FMN stands: x (n, *shape); radius (n,) of its ball; best (n,), size of the nearest error, or infinite."""

    x: Tensor
    radius: Tensor
    best: Tensor


@dataclass(frozen=True, slots=True)
class FMN:
    """Fast minimum norm.

    Three things are ours, and each makes the norms smaller: the radius follows the linearised distance to the boundary
    all the time, not only until the first error; a step is measured by the move so far, so that no unit of the input
    matters; the projections know the box.

    steps: gradients. norm: "l2", "linf", "l1" or "l0", used where the threat has no ball; else its own.
    pace: length of the first step, in lengths of the move so far; it falls to a hundredth on a cosine.
    change: share by which the radius changes at most, once there has been an error. loss: "ce", "margin" or "dlr".
    driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="Fast minimum norm",
        summary="The nearest error in any norm from few gradients: the first choice for accuracy over radius.",
        paper="Pintor et al. 2021, arXiv:2102.12827",
        needs=("gradients",),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row", "wave", "frames"),
        nearest=True,
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 100
    norm: Norm = "l2"
    pace: float = 8.0
    change: float = 0.05
    loss: LossName = "margin"
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the nearest errors found, (n, *shape), cut to the threat's ball where it has one."""
        norm = free_norm(threat, self.norm, self.card.norms, "evasion.fmn")
        rounds = (Round(LOSSES[self.loss], self.steps),)
        return drive(self, nearest(rounds, norm), target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Shell:  # noqa: ARG002
        """Begin at the clean input; in l0 with one coordinate."""
        zero = region.center.new_zeros(len(region.center))
        return Shell(region.center, zero + float(region.norm == "l0"), zero + torch.inf)

    def step(self, state: Shell, seen: Seen, turn: Turn) -> Shell:
        """Choose the radius, step along the gradient, and go onto the ball (algorithm 1)."""
        where, move = turn.region, state.x - turn.region.center
        slowing = (1 + math.cos(math.pi * turn.index / turn.steps)) / 2
        now = size(move, where.norm)
        best = torch.where(seen.hit, torch.minimum(state.best, now), state.best)
        far = gap_distance(seen, "l2" if where.norm == "l0" else where.norm, self.loss)
        if where.norm == "l0":
            radius = _count(state.radius, seen.hit, best, slowing)
        else:
            radius = follow(now, far, seen.hit, torch.isfinite(best), self.change)
        if where.norm != "l2":
            now, far = size(move, "l2"), gap_distance(seen, "l2", self.loss)
        length = torch.maximum(now, far.nan_to_num(posinf=0.0))
        pace = self.pace * (_SLOWEST + (1 - _SLOWEST) * slowing)
        ahead = move + wide(pace * length, move) * _way(seen.gradient, where.norm)
        return Shell(_onto(ahead, radius, where), radius, best)


def _count(radius: Tensor, hit: Tensor, best: Tensor, slowing: float) -> Tensor:
    """Take coordinates away after an error and give some after a miss, at least one (section 2.2)."""
    first, last = _L0_SHARES
    share = last + (first - last) * slowing
    fewer = torch.minimum(torch.minimum(radius - 1, (radius * (1 - share)).floor()), best)
    more = torch.maximum(radius + 1, (radius * (1 + share)).floor())
    return torch.where(hit, fewer, more).clamp(min=0)


def _way(gradient: Tensor, norm: Norm) -> Tensor:
    """Return the direction of a step, of unit Euclidean length: the gradient, in linf its sign."""
    if norm != "linf":
        return steepest(gradient, "l2")
    return gradient.sign() / math.sqrt(math.prod(gradient.shape[1:]))


def _onto(move: Tensor, radius: Tensor, where: Region) -> Tensor:
    """Return the points (n, *shape) nearest to the moves' ends on balls of these radii (n,), inside the box."""
    low, high = (where.lower - where.center).flatten(1), (where.upper - where.center).flatten(1)
    flat, far = move.flatten(1), radius.unsqueeze(1)
    if where.norm == "linf":
        flat = torch.minimum(torch.maximum(flat, -far), far)
    elif where.norm == "l2":
        flat = onto_sphere(flat, low, high, far)
    else:
        flat = onto_l1(flat, low, high, far) if where.norm == "l1" else onto_l0(flat, low, high, far.long())
    return where.project(where.center + flat.reshape(move.shape))
