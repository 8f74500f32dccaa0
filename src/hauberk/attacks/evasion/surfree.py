"""SurFree: shrink the distance on circles through the error, in random planes, without any gradient estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from hauberk.attacks.boundary_search import Hunt, Walkers, beside, unit
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.active import take
from hauberk.numeric.waves import waves

Tensor = torch.Tensor

FIRST_ANGLE, SMALLEST, LARGEST = math.pi / 6, 1e-2, math.pi / 3
"""Angles tried in a plane: at first the paper's 30° (§5.1). Below a hundredth nothing is gained but rounding."""
WIDENED, NARROWED = 1.1, 0.93
"""What an angle that found an error, and one that found none, is multiplied by."""
HALVINGS = 2
"""Of the arc beyond an error: nearer errors lie further round (§4.3); more questions are better spent on new planes."""


@dataclass(frozen=True, slots=True)
class Orbit:
    """n samples on their way, and the angle (n,) tried in the next plane."""

    walkers: Walkers
    angle: Tensor


@dataclass(frozen=True, slots=True)
class SurFree:
    """SurFree, all samples side by side.

    queries: per sample; a threat's own budget goes before it. share: of the cosine waves along each side of an image
    that planes are drawn from, 0–1; 1 is plain noise, and what rows of tables get. tries: random inputs looked at for
    a first error. start: "data" begins at the nearest input of the batch that is classified otherwise, "noise" at
    random inputs; each falls back on the other. early_stop: leave a sample once its error lies inside the ball.
    """

    card: ClassVar[Card] = Card(
        title="SurFree",
        summary="Circles in random planes, no gradient estimates: near errors for budgets of some hundred queries.",
        paper="Maho et al. 2021, arXiv:2011.12807",
        norms=("l2",),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 1000
    share: float = 0.4
    tries: int = 20
    start: Literal["data", "noise"] = "data"
    early_stop: bool = True

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the nearest errors found, of x's shape, put into the ball where they lie outside.

        A sample that is wrong already, or for which no first error is found, comes back as it was.
        Raises UsageError for a threat without an l2 ball.
        """
        name = "evasion.surfree"
        hunt = Hunt(target, x, y, threat, self.queries, name=name, norms=self.card.norms, early=self.early_stop)
        walkers = hunt.begin(self.start, self.tries, rng)
        orbit = Orbit(walkers, torch.full_like(walkers.distance, FIRST_ANGLE))
        while len(stay := hunt.keep(orbit.walkers)):
            orbit = orbit if len(stay) == len(orbit.angle) else take(orbit, stay)
            way = waves(tuple(orbit.walkers.x.shape), self.share, orbit.walkers.x, rng)
            orbit = _turned(hunt, orbit, way)
        return hunt.found()


def _turned(hunt: Hunt, orbit: Orbit, way: Tensor) -> Orbit:
    """Try the angle to both sides in the planes of the errors and ways (n, *shape); go round as far as errors last."""
    walkers = orbit.walkers
    out = unit(walkers.x - walkers.clean)
    side = unit(way - out * beside((way * out).flatten(1).sum(1), way))
    x, hit = walkers.x.clone(), torch.zeros_like(orbit.angle, dtype=torch.bool)
    for sign in (1.0, -1.0):
        left = (~hit).nonzero().squeeze(1)
        if not len(left):
            break
        own = take(Orbit(walkers, sign * orbit.angle), left)
        point = _arc(hunt, own.walkers, out[left], side[left], own.angle)
        found = hunt.errs(point, own.walkers.rows)
        x[left[found]], hit[left[found]] = point[found], True
        side[left[found]] *= sign
    angle = (orbit.angle * torch.where(hit, WIDENED, NARROWED)).clamp(SMALLEST, LARGEST)
    done = hit.nonzero().squeeze(1)
    if len(done):
        own, fresh = take(orbit, done), take(hunt.at(walkers, x), done)

        def beyond(share: Tensor) -> Tensor:
            return _arc(hunt, own.walkers, out[done], side[done], own.angle * (2 - share))

        x[done] = hunt.bisect(fresh, beyond, HALVINGS)
    moved = hunt.at(walkers, x)
    nearer = moved.distance < walkers.distance
    x = torch.where(beside(nearer, x), x, walkers.x)
    distance = torch.where(nearer, moved.distance, walkers.distance)
    return Orbit(replace(walkers, x=x, distance=distance), angle)


def _arc(hunt: Hunt, walkers: Walkers, out: Tensor, side: Tensor, angle: Tensor) -> Tensor:
    """Return the point (n, *shape) at angles (n,) of the circle whose diameter is the way from clean input to error."""
    radius = beside(walkers.distance * angle.cos(), out)
    way = out * beside(angle.cos(), out) + side * beside(angle.sin(), out)
    return (walkers.clean + radius * way).clamp(*hunt.bounds)
