"""DDN: walk along the gradient on a sphere whose radius follows the boundary: direction and norm each on its own."""

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
from hauberk.core.threat import Threat
from hauberk.numeric.balls import Region, size, steepest
from hauberk.numeric.losses import LOSSES, LossName
from hauberk.numeric.projections import onto_sphere

Tensor = torch.Tensor

_SLOWEST = 0.01
"""Share of the pace at the end of the cosine (section 4)."""


@dataclass(frozen=True, slots=True)
class Sphere:
    """Where DDN stands: x (n, *shape); erred (n,) bool, whether there has been an error."""

    x: Tensor
    erred: Tensor


@dataclass(frozen=True, slots=True)
class DDN:
    """Decoupled direction and norm.

    Ours: the radius goes to the linearised distance of the boundary, not by a fixed share, until the first error and
    within that share afterwards; paces are measured by the move so far; the sphere knows the box.

    steps: gradients. pace: length of the first step, in lengths of the move so far; it falls to a hundredth on a
    cosine. change: share by which the radius changes at most, once there has been an error.
    loss: "ce", "margin" or "dlr".
    driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="Decoupled direction and norm",
        summary="The nearest error in l2 from few gradients, by cross-entropy where FMN takes the margin.",
        paper="Rony et al. 2019, arXiv:1811.09600",
        needs=("gradients",),
        norms=("l2",),
        inputs=("chw", "row", "wave", "frames"),
        nearest=True,
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 100
    pace: float = 5.0
    change: float = 0.05
    loss: LossName = "ce"
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the nearest errors found, (n, *shape), cut to the threat's ball where it has one."""
        norm = free_norm(threat, "l2", self.card.norms, "evasion.ddn")
        rounds = (Round(LOSSES[self.loss], self.steps),)
        return drive(self, nearest(rounds, norm), target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Sphere:  # noqa: ARG002
        """Begin at the clean input."""
        return Sphere(region.center, torch.zeros(len(region.center), dtype=torch.bool, device=region.center.device))

    def step(self, state: Sphere, seen: Seen, turn: Turn) -> Sphere:
        """Step along the gradient, ever shorter, then onto the sphere (algorithm 1)."""
        where, move = turn.region, state.x - turn.region.center
        erred, now = state.erred | seen.hit, size(move, "l2")
        far = gap_distance(seen, "l2", self.loss)
        radius = follow(now, far, seen.hit, erred, self.change)
        slowing = (1 + math.cos(math.pi * turn.index / turn.steps)) / 2
        pace = self.pace * (_SLOWEST + (1 - _SLOWEST) * slowing)
        length = torch.maximum(now, far.nan_to_num(posinf=0.0))
        ahead = (move + wide(pace * length, move) * steepest(seen.gradient, "l2")).flatten(1)
        low, high = (where.lower - where.center).flatten(1), (where.upper - where.center).flatten(1)
        on = onto_sphere(ahead, low, high, radius.unsqueeze(1))
        return Sphere(where.project(where.center + on.reshape(move.shape)), erred)
