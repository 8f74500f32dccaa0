"""GeoDA: take the boundary for a plane, estimate its normal from labels, go straight there from the clean input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.boundary_search import Hunt, Walkers, beside, going, precise, unit
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.active import take
from hauberk.numeric.waves import waves

Tensor = torch.Tensor

GROWTH = 1.4
"""Each normal gets λ^(-2/3) times the probes of the one before, with the paper's λ = 0.6 (§3.3, theorem 2)."""
LENGTHENED = (1.0, 1.3, 1.7, 2.2)
"""How far along a normal errors are looked for, in distances of the error it was estimated at."""


@dataclass(frozen=True, slots=True)
class GeoDA:
    """GeoDA, all samples side by side.

    queries: per sample; a threat's own budget goes before it. probes: random directions of the first normal. share: of
    the cosine waves along each side of an image that directions are made of, 0–1; 1 is plain noise, and what rows of
    tables get. tries: random inputs looked at for a first error. start: "data" begins at the nearest input of the
    batch that is classified otherwise, "noise" at random inputs; each falls back on the other. early_stop: leave a
    sample once its error lies inside the ball.
    """

    card: ClassVar[Card] = Card(
        title="GeoDA",
        summary="Straight along estimated normals of the boundary: few queries where it is flat; others end nearer.",
        paper="Rahmati et al. 2020, arXiv:2003.06468",
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 2000
    probes: int = 60
    share: float = 0.4
    tries: int = 20
    start: Literal["data", "noise"] = "data"
    early_stop: bool = True

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the nearest errors found, of x's shape, put into the ball where they lie outside.

        A sample that is wrong already, or for which no first error is found, comes back as it was.
        Raises UsageError for a threat without an linf, l2 or l1 ball.
        """
        name = "evasion.geoda"
        hunt = Hunt(target, x, y, threat, self.queries, name=name, norms=self.card.norms, early=self.early_stop)
        walkers, turn = hunt.begin(self.start, self.tries, rng), 0
        while len(walkers.rows):
            walkers = going(hunt.keep(walkers), walkers)
            # What brings the next point onto the boundary is put aside before the probes are paid.
            spare = hunt.left[walkers.rows] - precise(hunt.norm, hunt.dimension) - len(LENGTHENED)
            counts = spare.clamp(max=round(self.probes * GROWTH**turn))
            able = (counts >= 2).nonzero().squeeze(1)
            if not len(able):
                break
            walkers, counts, turn = going(able, walkers), counts[able], turn + 1
            normal = hunt.slope(walkers, counts, self._probe(hunt, rng))
            walkers = _reached(hunt, walkers, normal)
        return hunt.found()

    def _probe(self, hunt: Hunt, rng: torch.Generator) -> Callable[[Walkers, int], Tensor]:
        def probe(own: Walkers, count: int) -> Tensor:
            way = unit(waves((len(own.x) * count, *own.x.shape[1:]), self.share, own.x, rng))
            x = own.x.unsqueeze(1)
            return x + beside(own.distance / hunt.dimension, x) * way.reshape(len(own.x), count, *own.x.shape[1:])

        return probe


def _reached(hunt: Hunt, walkers: Walkers, normal: Tensor) -> Walkers:
    """Go from the clean inputs to the boundary along the normals (n, *shape); without an error there, stay."""
    x, waiting = walkers.x.clone(), torch.arange(len(normal), device=normal.device)
    length = torch.ones_like(walkers.distance)
    for times in LENGTHENED:
        if not len(waiting):
            break
        own = going(waiting, walkers)
        point = _ray(hunt, own, normal[waiting])(torch.full_like(own.distance, times))
        hit = hunt.errs(point, own.rows)
        x[waiting[hit]], length[waiting[hit]] = point[hit], times
        waiting = waiting[~hit]
    gone = (~torch.isin(torch.arange(len(x), device=x.device), waiting)).nonzero().squeeze(1)
    if not len(gone):
        return walkers
    fresh = take(hunt.at(walkers, x), gone)
    path = _ray(hunt, take(walkers, gone), normal[gone])
    x[gone] = hunt.bisect(fresh, lambda share: path(share * length[gone]), precise("l2", hunt.dimension))
    return hunt.at(walkers, x)


def _ray(hunt: Hunt, walkers: Walkers, normal: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the way towards the boundary in the norm: times (n,) the walkers' distances → points (n, *shape).

    l2: along the normal. linf: along its sign. l1: coordinate after coordinate to its bound, the steepest first.
    """
    low, high = hunt.bounds
    if hunt.norm != "l1":
        way = normal if hunt.norm == "l2" else normal.sign()
        return lambda times: (walkers.clean + way * beside(times * walkers.distance, way)).clamp(low, high)
    edge = torch.where(normal > 0, high, torch.where(normal < 0, low, walkers.clean))
    order = normal.flatten(1).abs().argsort(1, descending=True)
    room = (edge - walkers.clean).flatten(1)
    before = room.abs().gather(1, order).cumsum(1)
    before = torch.zeros_like(room).scatter(1, order, before - room.abs().gather(1, order))

    def filled(times: Tensor) -> Tensor:
        left = (times * walkers.distance).unsqueeze(1) - before
        move = torch.minimum(left.clamp(min=0), room.abs()).copysign(room)
        return walkers.clean + move.reshape(normal.shape)

    return filled
