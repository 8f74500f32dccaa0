"""Pointwise: give an error's values back to the clean input, group by group, as long as it stays an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.boundary_search import Hunt, Walkers, beside
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.active import take
from hauberk.numeric.draws import uniform

Tensor = torch.Tensor

FINEST = 0.9
"""In l1 what cannot be given back is given back in part: first all of a change, then a half, a quarter, an eighth."""
FIRST_GROUP = 4
"""The first group of values is a 4th of those that differ; it doubles with each success, halves with each failure."""


@dataclass(frozen=True, slots=True)
class Groups:
    """n samples on their way.

    count: (n,) values to give back next. stuck: (n, d) bool, tried alone and needed. kept: (n,) the share of a change
    that giving back leaves, 0 at first. gave: (n,) bool, whether this pass over the values has given any back.
    """

    walkers: Walkers
    count: Tensor
    stuck: Tensor
    kept: Tensor
    gave: Tensor


@dataclass(frozen=True, slots=True)
class Pointwise:
    """Pointwise attack, all samples side by side, in groups of values instead of one by one.

    Where nothing more can be given back it begins anew at salt-and-pepper noise, and keeps the nearest error of all.

    queries: per sample; a threat's own budget goes before it. tries: random inputs looked at for a first error. start:
    "data" begins at the nearest input of the batch that is classified otherwise, "noise" at random inputs; each falls
    back on the other. early_stop: leave a sample once its error lies inside the ball.
    """

    card: ClassVar[Card] = Card(
        title="Pointwise attack",
        summary="Undoes an error's changes where they are not needed: few changed values by labels alone.",
        paper="Schott et al. 2019, arXiv:1805.09190",
        norms=("l0", "l1"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 2000
    tries: int = 20
    start: Literal["data", "noise"] = "data"
    early_stop: bool = True

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the nearest errors found, of x's shape, put into the ball where they lie outside.

        A sample that is wrong already, or for which no first error is found, comes back as it was.
        Raises UsageError for a threat without an l0 or l1 ball.
        """
        name = "evasion.pointwise"
        hunt = Hunt(target, x, y, threat, self.queries, name=name, norms=self.card.norms, early=self.early_stop)
        groups = _fresh(hunt.first(self.start, self.tries, rng))
        while len(stay := hunt.keep(groups.walkers)):
            groups = groups if len(stay) == len(groups.count) else take(groups, stay)
            groups = _given_back(hunt, _passed(hunt, groups, rng), rng)
        return hunt.found()


def _fresh(walkers: Walkers) -> Groups:
    none = torch.zeros_like(walkers.distance)
    differ = (walkers.x != walkers.clean).flatten(1)
    return Groups(walkers, differ.sum(1) // FIRST_GROUP, torch.zeros_like(differ), none, none > 0)


def _passed(hunt: Hunt, groups: Groups, rng: torch.Generator) -> Groups:
    """Begin a new pass where every value is stuck; whoever has nothing more to give back begins at another error.

    A value that was needed may not be once others have changed: a pass that gave is repeated.
    """
    differ = (groups.walkers.x != groups.walkers.clean).flatten(1)
    over = ~(differ & ~groups.stuck).any(1)
    if not bool(over.any()):
        return groups
    finer = torch.where(over & ~groups.gave, (1 + groups.kept) / 2, groups.kept)
    ended = over & ~groups.gave & ((finer > FINEST) if hunt.norm == "l1" else torch.ones_like(over))
    count = torch.where(over, differ.sum(1) // FIRST_GROUP, groups.count)
    stuck, gave = groups.stuck & ~over.unsqueeze(1), groups.gave & ~over
    return _restarted(hunt, Groups(groups.walkers, count, stuck, finer, gave), ended, rng)


def _restarted(hunt: Hunt, groups: Groups, ended: Tensor, rng: torch.Generator) -> Groups:
    """Put those that ended (n,) at salt-and-pepper noise on a random share of their values, where that is an error."""
    rows = ended.nonzero().squeeze(1)
    if not len(rows):
        return groups
    own = take(groups.walkers, rows)
    shape = tuple(own.x.shape)
    chosen = uniform(shape, own.x, rng) < beside(uniform((len(rows),), own.x, rng), own.x)
    noise = torch.where(uniform(shape, own.x, rng) < 0.5, *hunt.bounds)
    point = torch.where(chosen, noise, own.clean)
    hit = hunt.errs(point, own.rows)
    x = groups.walkers.x.index_copy(0, rows[hit], point[hit])
    fresh = _fresh(hunt.at(groups.walkers, x))
    begun = torch.zeros_like(ended).index_fill(0, rows[hit], True)
    return Groups(
        fresh.walkers,
        torch.where(begun, fresh.count, groups.count),
        groups.stuck & ~begun.unsqueeze(1) | (ended & ~begun).unsqueeze(1),
        torch.where(begun, 0.0, groups.kept),
        groups.gave & ~begun,
    )


def _given_back(hunt: Hunt, groups: Groups, rng: torch.Generator) -> Groups:
    """Give a random group of values back, small changes rather than large ones."""
    walkers = groups.walkers
    move = (walkers.x - walkers.clean).flatten(1)
    free = (move != 0) & ~groups.stuck
    count = groups.count.minimum(free.sum(1)).clamp(min=1)
    key = (uniform(tuple(move.shape), move, rng) * move.abs()).masked_fill(~free, torch.inf)
    group = key.argsort(1).argsort(1) < count.unsqueeze(1)
    left = torch.where(group, move * groups.kept.unsqueeze(1), move).reshape(walkers.x.shape)
    point = torch.where(group.reshape(left.shape), walkers.clean + left, walkers.x)
    hit = hunt.errs(point, walkers.rows)
    after = hunt.at(walkers, torch.where(beside(hit, point), point, walkers.x))
    stuck = groups.stuck | (group & (~hit & (count == 1)).unsqueeze(1))
    count = torch.where(hit, count * 2, count // 2).clamp(min=1)
    return Groups(after, count, stuck, groups.kept, groups.gave | hit)
