"""The one loop of searches by scores: it owns active set, blocks, budget and what is kept; an attack only proposes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import torch

from hauberk.attacks.inquiry import Inquiry
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.core.threat import Norm, Threat
from hauberk.numeric.active import Dataclass, take
from hauberk.numeric.balls import Region, region

Tensor = torch.Tensor
S = TypeVar("S", bound=Dataclass)

_BLOCK_VALUES = 2**23
"""Input values proposed at once: a search holds some five tensors of this many float32 (32 MiB each)."""
_LEAST = 1e-30
"""Probabilities are read as logits by their logarithm; below this they are nothing."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a search is, for the n samples still in it.

    region: around their clean inputs. x: (n, *shape), the strongest points found, at first the clean inputs.
    lead: (n,) by how much the error leads there, at most 0. spent, queries: of each sample, so far and in all.
    """

    region: Region
    x: Tensor
    lead: Tensor
    spent: int
    queries: int
    rng: torch.Generator

    @property
    def left(self) -> int:
        """Queries each sample may still cost, at least 1."""
        return self.queries - self.spent


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked: points (n, k, *shape), and by how much the error leads there, lead (n, k)."""

    points: Tensor
    lead: Tensor


class Method(Protocol[S]):
    """What an attack's file holds. S: a frozen dataclass of tensors, each with the sample as first axis."""

    def start(self, turn: Turn) -> S:
        """Choose where to begin, once the clean inputs are known."""
        ...

    def propose(self, state: S, turn: Turn) -> Tensor:
        """Choose the points (n, k, *shape) to ask for next, 1 ≤ k; a k above turn.left ends the search."""
        ...

    def accept(self, state: S, asked: Asked, turn: Turn) -> S:
        """Learn from the answers; the loop itself keeps the strongest point, which the next turn holds."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """queries: per sample, the first look at the clean input included; a threat's own budget goes before it.

    width: points of a sample asked at once, as far as memory is concerned. inside: every point proposed lies in the
    region; False: those outside are asked, but do not count.
    """

    queries: int
    width: int = 1
    inside: bool = True


def search(
    method: Method[S], plan: Plan, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator
) -> Tensor:
    """Return the strongest points found for x (n, *shape), y (n,), inside the threat's ball and the bounds.

    A sample leaves at its first error. The threat must have a ball: see `ball_of`.
    """
    out = x.clone()
    block = max(1, _BLOCK_VALUES // max(1, plan.width * math.prod(x.shape[1:])))
    for rows in torch.split(torch.arange(len(x), device=x.device), block):
        desk = _Desk(target, x[rows], y[rows], threat, plan.queries)
        if desk.inquiry.charge():
            out[rows] = _search(method, plan, desk, x[rows], threat, rng)
    return out


def ball_of(threat: Threat, norms: tuple[str, ...], name: str) -> tuple[Norm, float]:
    """Return norm and radius of the threat's ball; raises UsageError where it is not of these norms."""
    if threat.ball is None or threat.ball.norm not in norms:
        raise UsageError(f"{name} works in {', '.join(norms)} balls", where=threat.name)
    return threat.ball.norm, threat.ball.radius


def image(x: Tensor) -> Tensor:
    """See inputs as images (n, c, h, w): a clip has the channels of all its frames, a row one channel and one line."""
    return x.flatten(1, -3) if x.ndim >= 4 else x.flatten(1)[:, None, None]


def beside(values: Tensor, like: Tensor) -> Tensor:
    """Shape (n,) or (n, k) to stand beside (n, *shape) or (n, k, *shape)."""
    return values.reshape(*values.shape, *[1] * (like.ndim - values.ndim))


class _Desk:
    """Where a block's n samples are asked about, in logits or what stands for them. total: queries of each sample."""

    def __init__(self, target: Target, x: Tensor, y: Tensor, threat: Threat, queries: int) -> None:
        self.inquiry = Inquiry(target, x, y, threat, queries)
        self.target, self.total, self._y = target, self.inquiry.left, y

    def lead(self, points: Tensor, rows: Tensor) -> Tensor:
        """Measure by how much the error leads (m, k) at points (m, k, *shape) of these rows (m,)."""
        scores = self.inquiry.scores(points.flatten(0, 1))
        # Of a softmax the logarithm gives the logits back but for a constant: no plateau where the model is sure.
        scores = scores.clamp(min=_LEAST).log() if self.target.spec.answers == "probabilities" else scores
        count = points.shape[1]
        labels = self._y[rows] if count == 1 else self._y[rows].repeat_interleave(count)
        return self.inquiry.lead_of(scores, labels).reshape(len(rows), count)


def _search(method: Method[S], plan: Plan, desk: _Desk, x: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
    out, rows = x.clone(), torch.arange(len(x), device=x.device)
    lead = desk.lead(x.unsqueeze(1), rows).squeeze(1)
    turn = Turn(region(threat.ball, x, desk.target.spec.bounds), x, lead, 1, desk.total, rng)
    state = method.start(turn)
    while True:
        left = (turn.lead <= 0).nonzero().squeeze(1)
        if len(left) < len(rows):
            out[rows] = turn.x
            rows, turn, state = rows[left], take(turn, left), take(state, left)
        if not len(rows) or not desk.inquiry.left:
            break
        points = method.propose(state, turn)
        if not desk.inquiry.charge(points.shape[1]):
            break
        asked = Asked(points, desk.lead(points, rows))
        state = method.accept(state, asked, turn)
        turn = replace(_kept(turn, asked, plan.inside), spent=turn.spent + points.shape[1])
    out[rows] = turn.x
    return out


def _kept(turn: Turn, asked: Asked, inside: bool) -> Turn:
    """Keep the strongest point of each sample, of those that lie in the region."""
    lead, which = asked.lead.max(1)
    rows = (lead > turn.lead).nonzero().squeeze(1)
    if not len(rows):
        return turn
    best = asked.points.flatten(0, 1).index_select(0, rows * asked.points.shape[1] + which[rows])
    if not inside:
        held = take(turn.region, rows).contains(best)
        rows, best = rows[held], best[held]
    return replace(turn, x=turn.x.index_copy(0, rows, best), lead=turn.lead.index_copy(0, rows, lead[rows]))


def around(x: Tensor, ways: Tensor, region: Region) -> Tensor:
    """Propose each x (n, *shape) itself, then x + way, then x − way (n, 1 + 2k, *shape) of ways (n, k, *shape).

    They are cut to the box, so that probes of an l2 ball's border may lie just outside.
    """
    center = x.unsqueeze(1)
    return boxed(torch.cat((center, center + ways, center - ways), 1), region)


def boxed(points: Tensor, region: Region) -> Tensor:
    """Cut points (n, k, *shape) to the bounds, in linf to the ball too."""
    return torch.minimum(torch.maximum(points, region.lower.unsqueeze(1)), region.upper.unsqueeze(1))


def moves(asked: Asked) -> Tensor:
    """Return x + way minus x − way (n, k, d) of points `around` proposed: what the bounds left of twice the way."""
    up, down = asked.points[:, 1:].flatten(2).chunk(2, 1)
    return up - down


def rises(asked: Asked) -> Tensor:
    """Return by how much the lead at x + way is above that at x − way (n, k), of points `around` proposed."""
    up, down = asked.lead[:, 1:].chunk(2, 1)
    return up - down


def slope(asked: Asked) -> Tensor:
    """Estimate the lead's gradient (n, *shape), but for its length: the mean of the moves, each times its rise."""
    rise = rises(asked)
    flat = torch.bmm(rise.unsqueeze(1), moves(asked)).squeeze(1) / max(1, rise.shape[1])
    return flat.reshape(len(flat), *asked.points.shape[2:])


def unit_scale(region: Region) -> float:
    """Return what a change of every value by 1 must be scaled with to have the radius as its length, in linf or l2."""
    return region.radius if region.norm == "linf" else region.radius / math.sqrt(math.prod(region.center.shape[1:]))


def pairs(wanted: int, turn: Turn) -> int:
    """Return how many pairs of probes can be paid beside a look at the point itself; 0 for the last query."""
    return min(wanted, (turn.left - 1) // 2)
