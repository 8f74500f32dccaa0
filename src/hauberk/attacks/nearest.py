"""What searches for the nearest error share: their plan, their norm, and the last mile back to the boundary."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import torch

from hauberk.attacks.driver import Measure, Method, Plan, Round, State, Turn
from hauberk.attacks.driving_oracle import Seen
from hauberk.core.errors import UsageError
from hauberk.core.threat import Norm, Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.faces import faces, far, onto_face
from hauberk.numeric.losses import Aim, LossName

Tensor = torch.Tensor
S = TypeVar("S", bound=State)

_BEYOND = 1e-3
"""By how much a radius is aimed beyond the boundary, as a share of itself."""


def nearest(rounds: tuple[Round, ...], norm: Norm, width: int = 1, measure: Measure | None = None) -> Plan:
    """Plan a search of the whole box that keeps the nearest error, and goes on until one lies inside the threat's ball.

    norm: of distance, where the threat has no ball. measure: instead of the norm there.
    """
    return Plan(rounds=rounds, keep="nearest", leave="inside", free=True, norm=norm, width=width, measure=measure)


def free_norm(threat: Threat, norm: Norm, norms: tuple[str, ...], attack: str) -> Norm:
    """Return the norm to search in: of the threat's ball, else `norm`; raises UsageError for one not in `norms`."""
    found = norm if threat.ball is None else threat.ball.norm
    if found not in norms:
        raise UsageError(f"{attack} works in {', '.join(norms)}; threat {threat.name} has {found}")
    return found


@dataclass(frozen=True, slots=True)
class Face:
    """The nearest face of n samples, linearised. slope: (n, d). gap: (n,) logits to it, below 0 for one left behind."""

    slope: Tensor
    gap: Tensor


def nearest_face(x: Tensor, seen: Seen, aim: Aim, where: Region, candidates: int) -> Face:
    """Choose the nearest of the faces whose gradients were asked for at x (n, *shape).

    A coordinate at its bound that a move would push out has no part in how far a face is.
    """
    found = faces(seen.logits, aim, candidates)
    high, low = (x >= where.upper).flatten(1).unsqueeze(1), (x <= where.lower).flatten(1).unsqueeze(1)
    flat = seen.gradient.flatten(2)
    stuck = (high & (flat > 0)) | (low & (flat < 0))
    which = far(flat.masked_fill(stuck, 0.0), found.gaps, where.norm).argmin(1)
    rows = torch.arange(len(which), device=which.device)
    gap = found.gaps[rows, which]
    return Face(flat[rows, which], torch.where(found.behind[rows, which], -gap, gap))


def towards(face: Face, x: Tensor, start: Tensor, where: Region) -> Tensor:
    """Return the smallest move in the box from `start` (n, *shape) onto a face that was linearised at x."""
    low, high = (where.lower - start).flatten(1), (where.upper - start).flatten(1)
    gap = face.gap + (face.slope * (x - start).flatten(1)).sum(1)
    return onto_face(face.slope, gap, low, high, where.norm).reshape(x.shape)


@dataclass(frozen=True, slots=True)
class Homing(Generic[S]):
    """Where a search with a last mile stands; n samples.

    search: the search's own state. x: (n, *shape), what is looked at next. best: (n, *shape), the nearest error so
    far, `size`: (n,) how far it is. low, high: (n,) shares of the way to it: the last known to be right, and wrong.
    """

    search: S
    x: Tensor
    best: Tensor
    size: Tensor
    low: Tensor
    high: Tensor


@dataclass(frozen=True, slots=True)
class LastMile(Generic[S]):
    """A search, and after it a few looks without gradient that halve the way between its best point and the boundary.

    gradients: steps of the search. looks: after it; the first is at the search's own last point. reach: how near to the
    clean input the boundary is sought, as a share of the way from the best point.
    """

    method: Method[S]
    gradients: int
    looks: int
    reach: float = 0.1

    def start(self, region: Region, rng: torch.Generator) -> Homing[S]:
        """Begin where the search does."""
        search = self.method.start(region, rng)
        far_off = region.center.new_full((len(region.center),), torch.inf)
        one = torch.ones_like(far_off)
        return Homing(search, search.x, region.center, far_off, one - self.reach, one)

    def step(self, state: Homing[S], seen: Seen, turn: Turn) -> Homing[S]:
        """Let the search step, or halve."""
        if turn.index <= self.gradients:
            state = _noted(state, seen, turn.region)
        else:
            middle = (state.low + state.high) / 2
            state = replace(
                state,
                low=torch.where(seen.hit, state.low, middle),
                high=torch.where(seen.hit, middle, state.high),
            )
        if turn.index < self.gradients:
            search = self.method.step(state.search, seen, replace(turn, steps=min(self.gradients, turn.steps)))
            return replace(state, search=search, x=search.x)
        return replace(state, x=part_way((state.low + state.high) / 2, state.best, turn.region))

    def blind(self, index: int) -> bool:
        """Tell of a step whether it needs no gradient."""
        return index >= self.gradients


def _noted(state: Homing[S], seen: Seen, where: Region) -> Homing[S]:
    size = where.distance(state.x)
    better = seen.hit & (size < state.size)
    if not bool(better.any()):
        return state
    wide = better.reshape(-1, *(1,) * (state.x.ndim - 1))
    return replace(state, best=torch.where(wide, state.x, state.best), size=torch.where(better, size, state.size))


def part_way(share: Tensor, point: Tensor, where: Region) -> Tensor:
    """Go back from points (n, *shape) to the clean inputs until `share` (n,) of the distance is left.

    l2, l1: on the straight line. linf: the farthest coordinates first. l0: the coordinates that moved least.
    """
    move = point - where.center
    flat, part = move.flatten(1), share.unsqueeze(1)
    if where.norm == "linf":
        most = flat.abs().amax(1, keepdim=True) * part
        flat = torch.minimum(torch.maximum(flat, -most), most)
    elif where.norm == "l0":
        keep = ((flat != 0).sum(1, keepdim=True) * part).ceil()
        order = flat.abs().argsort(dim=1, descending=True).argsort(dim=1)
        flat = flat.masked_fill(order >= keep, 0.0)
    else:
        flat = flat * part
    return where.project(torch.where(move != 0, where.center + flat.reshape(move.shape), where.center))


def gap_distance(seen: Seen, norm: Norm, loss: LossName) -> Tensor:
    """Estimate how far (n,) the boundary is, in `norm`, from the linearised loss; infinite where there is no slope.

    "margin", "dlr": they are 0 on the boundary. "ce": d ce / d lead = 1 − exp(−ce), exactly so for two classes.
    """
    gap = -seen.lead * torch.expm1(-seen.loss.abs()) if loss == "ce" else seen.loss
    return far(seen.gradient.flatten(1).unsqueeze(1), gap.unsqueeze(1), norm).squeeze(1)


def follow(now: Tensor, far: Tensor, hit: Tensor, erred: Tensor, change: float) -> Tensor:
    """Choose the next radius (n,): where the linearised boundary lies, seen from size `now`, at distance `far`.

    hit: (n,) bool, the point errs, so the boundary lies inwards. erred: (n,) bool, there has been an error: from then
    on the radius changes by the share `change` at most, since the boundary is bent. Without a slope it grows by that
    share. From inside it aims a little beyond the boundary: on it there is no error.
    """
    limit = torch.where(erred, change * now, torch.inf)
    aimed = torch.where(hit, far, far + _BEYOND * (now + far))
    move = torch.minimum(torch.where(torch.isinf(far), change * now, aimed), limit)
    return torch.where(hit, now - move, now + move)


def wide(values: Tensor, like: Tensor) -> Tensor:
    """Shape (n,) as (n, 1, …) to go with (n, *shape)."""
    return values.reshape(-1, *(1,) * (like.ndim - 1))
