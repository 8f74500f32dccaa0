"""Sign-OPT: descend on the distance along a direction, by the signs of its change alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from hauberk.attacks.boundary_search import Hunt, Walkers, beside, precise, unit
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.active import take
from hauberk.numeric.draws import normal

Tensor = torch.Tensor

PROBE = 1e-2
"""Length of a random change of the direction, which has length 1 (§3.1)."""
TURNS = 8
"""Turns tried of a direction, each twice or half as far as the one before."""
FIRST_TURN, LEAST_TURN, MOST_TURN = 0.2, 1e-3, 2.0


@dataclass(frozen=True, slots=True)
class Compass:
    """n samples on their way; how far (n,) the direction turns at first in the next step."""

    walkers: Walkers
    turn: Tensor


@dataclass(frozen=True, slots=True)
class SignOPT:
    """Sign-OPT, all samples side by side.

    queries: per sample; a threat's own budget goes before it. probes: random changes of the direction that one step
    rests on. tries: random inputs looked at for a first error. start: "data" begins at the nearest input of the batch
    that is classified otherwise, "noise" at random inputs; each falls back on the other. early_stop: leave a sample
    once its error lies inside the ball.
    """

    card: ClassVar[Card] = Card(
        title="Sign-OPT",
        summary="Turns the direction of the error by signs of estimated slopes: near errors where queries are plenty.",
        paper="Cheng et al. 2020, arXiv:1909.10773",
        norms=("l2",),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 4000
    probes: int = 100
    tries: int = 20
    start: Literal["data", "noise"] = "data"
    early_stop: bool = True

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the nearest errors found, of x's shape, put into the ball where they lie outside.

        A sample that is wrong already, or for which no first error is found, comes back as it was.
        Raises UsageError for a threat without an l2 ball.
        """
        name = "evasion.sign_opt"
        hunt = Hunt(target, x, y, threat, self.queries, name=name, norms=self.card.norms, early=self.early_stop)
        walkers = hunt.begin(self.start, self.tries, rng)
        compass = Compass(walkers, torch.full_like(walkers.distance, FIRST_TURN))
        while len(compass.turn):
            compass = take(compass, hunt.keep(compass.walkers))
            # What follows a turn down to the boundary is put aside before the probes are paid.
            spare = hunt.left[compass.walkers.rows] - precise(hunt.norm, hunt.dimension) - TURNS
            counts = spare.clamp(max=self.probes)
            able = (counts >= 2).nonzero().squeeze(1)
            if not len(able):
                break
            compass, counts = take(compass, able), counts[able]
            slope = hunt.slope(compass.walkers, counts, _probe(rng))
            compass = _turned(hunt, compass, slope)
        return hunt.found()


def _probe(rng: torch.Generator) -> Callable[[Walkers, int], Tensor]:
    """Make points as far from the clean input as the error, in directions a little changed: errors lie nearer there."""

    def probe(own: Walkers, count: int) -> Tensor:
        shape = (len(own.x), count, *own.x.shape[1:])
        out = unit(own.x - own.clean).unsqueeze(1)
        change = unit(normal((len(own.x) * count, *own.x.shape[1:]), own.x, rng)).reshape(shape)
        way = unit((out + PROBE * change).flatten(0, 1)).reshape(shape)
        return own.clean.unsqueeze(1) + way * beside(own.distance, out)

    return probe


def _turned(hunt: Hunt, compass: Compass, slope: Tensor) -> Compass:
    """Turn the directions along slopes (n, *shape), and go down to the boundary there.

    On a boundary that is locally flat the turns at which the present distance still errs reach from 0 to twice the
    best one: the furthest is looked for by doubling or halving, one question each, and half of it taken.
    """
    walkers, turn = compass.walkers, compass.turn.clone()
    out = unit(walkers.x - walkers.clean)

    def at(rows: Tensor, turn: Tensor) -> Tensor:
        way = unit(out[rows] + slope[rows] * beside(turn, out))
        return (walkers.clean[rows] + way * beside(walkers.distance[rows], way)).clamp(*hunt.bounds)

    best = torch.zeros_like(turn)
    growing = torch.ones_like(turn, dtype=torch.bool)
    waiting = torch.arange(len(turn), device=turn.device)
    for index in range(TURNS):
        if not len(waiting):
            break
        hit = hunt.errs(at(waiting, turn[waiting]), walkers.rows[waiting])
        if index == 0:
            growing = hit.clone()
        best[waiting[hit]] = turn[waiting[hit]]
        on = (hit == growing[waiting]) & (turn[waiting] < MOST_TURN)
        waiting = waiting[on]
        turn[waiting] *= torch.where(growing[waiting], 2.0, 0.5)
    moved = (best > 0).nonzero().squeeze(1)
    fresh = (best / 1.5).clamp(LEAST_TURN, MOST_TURN)
    if not len(moved):
        return replace(compass, turn=fresh)
    x, half = walkers.x.clone(), at(moved, best[moved] / 2)
    own = take(walkers, moved)
    hit = hunt.errs(half, own.rows)
    end = torch.where(beside(hit, half), half, at(moved, best[moved]))
    x[moved] = hunt.onto_boundary(hunt.at(own, end)).x
    after = hunt.at(walkers, x)
    nearer = after.distance < walkers.distance
    x = torch.where(beside(nearer, x), x, walkers.x)
    return Compass(hunt.at(walkers, x), fresh)
