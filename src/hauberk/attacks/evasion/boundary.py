"""Boundary attack: a random walk along the decision boundary, a step aside and a step nearer at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from hauberk.attacks.boundary_search import Hunt, Walkers, beside, unit
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.active import take
from hauberk.numeric.draws import normal

Tensor = torch.Tensor

GAUGED = 10
"""Every so many steps the step aside is asked for alone, which tells how curved the boundary is."""
HALF, QUARTER = 0.5, 0.25
"""Share of steps aside, and of whole steps, that should still be errors (§2.3)."""
GAIN_ASIDE, GAIN_NEARER = 0.8, 0.16
"""How fast (in logarithms) the lengths follow what the last answer said; asked GAUGED times as rarely, five times."""
LONGEST, SHORTEST = 1.0, 1e-4
"""Bounds of the steps; shorter ones would end within rounding of the boundary, where an error may be none next time."""


@dataclass(frozen=True, slots=True)
class Stride:
    """n samples on their way, and the lengths (n,) of their steps aside and nearer, in shares of the distance."""

    walkers: Walkers
    aside: Tensor
    nearer: Tensor


@dataclass(frozen=True, slots=True)
class Boundary:
    """Boundary attack, all samples side by side, each with step lengths of its own.

    queries: per sample; a threat's own budget goes before it. aside, nearer: first lengths of the steps along the
    boundary and towards the clean input, in shares of the distance; they follow the answers. tries: random inputs
    looked at for a first error. start: "data" begins at the nearest input of the batch that is classified otherwise,
    "noise" at random inputs; each falls back on the other. early_stop: leave a sample once its error lies inside the
    ball.
    """

    card: ClassVar[Card] = Card(
        title="Boundary attack",
        summary="The first decision-based attack, a random walk: needs many queries; people compare with it.",
        paper="Brendel et al. 2018, arXiv:1712.04248",
        norms=("l2",),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 5000
    aside: float = 0.1
    nearer: float = 0.01
    tries: int = 20
    start: Literal["data", "noise"] = "data"
    early_stop: bool = True

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the nearest errors found, of x's shape, put into the ball where they lie outside.

        A sample that is wrong already, or for which no first error is found, comes back as it was.
        Raises UsageError for a threat without an l2 ball.
        """
        name = "evasion.boundary"
        hunt = Hunt(target, x, y, threat, self.queries, name=name, norms=self.card.norms, early=self.early_stop)
        walkers, step = hunt.begin(self.start, self.tries, rng), 0
        one = torch.ones_like(walkers.distance)
        stride = Stride(walkers, self.aside * one, self.nearer * one)
        while len(stay := hunt.keep(stride.walkers)):
            stride = stride if len(stay) == len(stride.aside) else take(stride, stay)
            stride, step = _stepped(hunt, stride, step % GAUGED == 0, rng), step + 1
        return hunt.found()


def _stepped(hunt: Hunt, stride: Stride, gauge: bool, rng: torch.Generator) -> Stride:
    """Step aside on the sphere around the clean input, then nearer; stay where that is no error (§2.2, figure 2)."""
    walkers, aside = stride.walkers, stride.aside
    out = walkers.x - walkers.clean
    way = unit(out)
    draw = normal(tuple(out.shape), out, rng)
    draw = unit(draw - way * beside((draw * way).flatten(1).sum(1), draw))
    turned = unit(way + draw * beside(aside, draw)) * beside(walkers.distance, draw)
    if gauge:
        level = hunt.errs((walkers.clean + turned).clamp(*hunt.bounds), walkers.rows).float()
        aside = (aside * torch.exp(GAIN_ASIDE * (level - HALF))).clamp(SHORTEST, LONGEST)
    point = (walkers.clean + turned * beside(1 - stride.nearer, draw)).clamp(*hunt.bounds)
    hit = hunt.errs(point, walkers.rows)
    nearer = (stride.nearer * torch.exp(GAIN_NEARER * (hit.float() - QUARTER))).clamp(SHORTEST, LONGEST / 2)
    moved = hunt.at(walkers, point)
    # Rounding and the bounds may leave a step no nearer: then it is none.
    hit &= moved.distance < walkers.distance
    x = torch.where(beside(hit, point), point, walkers.x)
    distance = torch.where(hit, moved.distance, walkers.distance)
    return Stride(replace(walkers, x=x, distance=distance), aside, nearer)
