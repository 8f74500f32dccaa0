"""C&W: trade distance against margin with Adam in tanh space, and search the weight that just buys an error."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from hauberk.attacks.driver import DEFAULT, Driving, Round, Turn, drive
from hauberk.attacks.driving_oracle import Seen
from hauberk.attacks.nearest import LastMile, free_norm, gap_distance, nearest, wide
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Norm, Threat
from hauberk.numeric.balls import Region
from hauberk.numeric.losses import LOSSES

Tensor = torch.Tensor

# Kingma & Ba 2015, arXiv:1412.6980.
_MEAN, _SQUARE, _FINITE = 0.9, 0.999, 1e-8

_INSIDE = 0.7
"""Share of tanh's range that the box takes up, the rest being cut off: in tanh space a clean value at a bound lies at
infinity, and the nearer to 1 this is, the more steps such a value takes to leave (measured: at 1 - 1e-6, 25 % farther
errors in linf and four times as many coordinates in l0)."""

# Growth of a weight that bought no error: in l2, and in linf and l0, where every error asks for a better one at once.
_DEARER, _A_LITTLE_DEARER = 10.0, 2.0

_TIGHT = {"linf": 0.9, "l0": 0.8}
"""What an error leaves the next one, until a search fails: of its size (section VI-C), of its Σ |slope · move|."""


@dataclass(frozen=True, slots=True)
class Trade:
    """Where C&W stands; n samples.

    x, w: (n, *shape), the point and its place in tanh space. mean, square: (n, *shape), Adam's. weight: (n,) of the
    margin; low, high: (n,) weights that bought no error and one. found: (n,) bool, an error in this search. best: (n,)
    size of the nearest so far. tight: (n,) share an error leaves the next one. free: (n, *shape) bool, coordinates
    that may move. carried: (n, *shape), |slope · move| at the nearest error, in l0.
    """

    x: Tensor
    w: Tensor
    mean: Tensor
    square: Tensor
    weight: Tensor
    low: Tensor
    high: Tensor
    found: Tensor
    best: Tensor
    tight: Tensor
    free: Tensor
    carried: Tensor


@dataclass(frozen=True, slots=True)
class CarliniWagner:
    """Carlini & Wagner.

    Ours: a search goes on where the last one ended, the first weight comes from the slope at the clean input, and
    values at a bound of the box leave it quickly. In linf and l0 the bound and the free coordinates follow every error
    at once.

    steps: gradients in all. searches: for the weight of the margin, each with its share of the steps. rate: Adam's, in
    tanh space, falling evenly to 0. confidence: logits by which an error must lead before the margin counts for
    nothing. looks: forwards at the end that close in on the boundary; in l0 they drop what moved least.
    norm: "l2", "linf" or "l0", used where the threat has no ball; else its own.
    driving: how the driver runs it (early stop, batch, float type).
    """

    card: ClassVar[Card] = Card(
        title="Carlini & Wagner",
        summary="Distance against margin by Adam: the classic of small norms; FMN goes lower for less in l2 and linf.",
        paper="Carlini & Wagner 2017, arXiv:1608.04644",
        needs=("gradients",),
        norms=("l2", "linf", "l0"),
        inputs=("chw", "row", "wave", "frames"),
        nearest=True,
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 500
    searches: int = 5
    rate: float = 0.1
    confidence: float = 0.0
    looks: int = 6
    norm: Literal["l2", "linf", "l0"] = "l2"
    driving: Driving = DEFAULT

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return the nearest errors found, (n, *shape), cut to the threat's ball where it has one."""
        norm = free_norm(threat, self.norm, self.card.norms, "evasion.carlini_wagner")
        mile = LastMile(self, self.steps, self.looks, reach=1.0 if norm == "l0" else 0.1)
        plan = nearest((Round(LOSSES["margin"], self.steps + self.looks, blind=mile.blind),), norm)
        return drive(mile, plan, target, x, y, threat, rng, self.driving)

    def start(self, region: Region, rng: torch.Generator) -> Trade:  # noqa: ARG002
        """Begin at the clean input."""
        x = region.center
        zero, every = x.new_zeros(len(x)), torch.ones_like(x, dtype=torch.bool)
        no, flat = torch.zeros_like(zero, dtype=torch.bool), torch.zeros_like(x)
        far = zero + torch.inf
        tight = zero + _TIGHT.get(region.norm, 1.0)
        return Trade(x, _tanh_place(x, region), flat, flat, zero, zero, far, no, far, tight, every, flat)

    def step(self, state: Trade, seen: Seen, turn: Turn) -> Trade:
        """Take one step of Adam; where a search ends, choose the next one's weight (section VI)."""
        each = max(1, math.ceil(turn.steps / self.searches))
        where, done = turn.region, turn.index % each
        if not turn.index:
            state = _opened(state, seen, where.norm)
        state = _noted(state, seen, where)
        if turn.index and not done:
            state = _reopened(state, where.norm)
        slope = self._slope(state, seen, where)
        mean, square = state.mean.lerp(slope, 1 - _MEAN), state.square.lerp(slope.square(), 1 - _SQUARE)
        way = (mean / (1 - _MEAN ** (done + 1))) / ((square / (1 - _SQUARE ** (done + 1))).sqrt() + _FINITE)
        w = state.w - self.rate * (1 - turn.index / turn.steps) * way
        x = where.project(torch.where(state.free, _point(w, where), where.center))
        return replace(state, x=x, w=w, mean=mean, square=square)

    def _slope(self, state: Trade, seen: Seen, where: Region) -> Tensor:
        """Slope of distance + weight · margin by w; the margin counts until the error leads by the confidence."""
        move = state.x - where.center
        counts = torch.where(seen.loss < self.confidence, state.weight, 0.0)
        pull = 2 * move if where.norm == "l2" else torch.zeros_like(move)
        if where.norm == "linf":
            pull = move.sign() * (move.abs() > wide(state.best * state.tight, move))
        half = (where.upper - where.lower) / 2
        return (pull - wide(counts, move) * seen.gradient) * half * (1 - state.w.tanh().square()) * state.free


def _tanh_place(x: Tensor, where: Region) -> Tensor:
    """Return w with x = middle + half · tanh(w), a bound's place finite."""
    half = (where.upper - where.lower) / 2
    return ((x - where.lower - half) / half).mul(_INSIDE).atanh()


def _point(w: Tensor, where: Region) -> Tensor:
    half = (where.upper - where.lower) / 2
    return where.lower + half + half * (w.tanh() / _INSIDE)


def _opened(state: Trade, seen: Seen, norm: Norm) -> Trade:
    """Choose the first weight: where the linearised problem has its optimum on the boundary (the paper starts at 0.01).

    l2, l0: minimise ‖δ‖² + c · gap(δ): δ = c∇/2 closes the gap at c = 2 · gap / ‖∇‖². linf: c|∇ᵢ| = 1 on average.
    """
    far = gap_distance(seen, "linf" if norm == "linf" else "l2", "margin")
    steep = seen.loss.abs() / far.clamp(min=torch.finfo(far.dtype).tiny)
    weight = math.prod(state.x.shape[1:]) / steep if norm == "linf" else 2 * far / steep
    return replace(state, weight=torch.where(torch.isfinite(weight), weight, 1.0))


def _noted(state: Trade, seen: Seen, where: Region) -> Trade:
    """Remember that there was an error, how near the nearest is, and in l0 which coordinates carried it."""
    size = where.distance(state.x)
    better = seen.hit & (size <= state.best)
    found = state.found | (seen.hit if where.norm == "l2" else better)
    state = replace(state, found=found, best=torch.where(better, size, state.best))
    if where.norm != "l0" or not bool(better.any()):
        return state
    carried = torch.where(wide(better, state.x), (seen.gradient * (state.x - where.center)).abs(), state.carried)
    free = torch.where(wide(better, state.x), _carriers(carried, state.tight), state.free)
    return replace(state, carried=carried, free=free)


def _reopened(state: Trade, norm: Norm) -> Trade:
    """Begin the next search, from where the last one ended: with a cheaper margin after an error, else a dearer one."""
    zero = torch.zeros_like(state.mean)
    fresh = replace(state, mean=zero, square=zero, found=torch.zeros_like(state.found))
    if norm == "l2":
        low = torch.where(state.found, state.low, state.weight)
        high = torch.where(state.found, state.weight, state.high)
        weight = torch.where(torch.isinf(high), low * _DEARER, (low + high) / 2)
        return replace(fresh, weight=weight, low=low, high=high)
    weight = torch.where(state.found, state.weight, state.weight * _A_LITTLE_DEARER)
    tight = torch.where(state.found, state.tight, (1 + state.tight) / 2)
    once = torch.isfinite(state.best) & ~state.found
    if norm == "l0" and bool(once.any()):
        fresh = replace(fresh, free=torch.where(wide(once, zero), _carriers(state.carried, tight), state.free))
    return replace(fresh, weight=weight, tight=tight)


def _carriers(carried: Tensor, share: Tensor) -> Tensor:
    """Mark the fewest coordinates (n, *shape) whose parts sum up to this share (n,)."""
    flat = carried.flatten(1)
    ordered, order = flat.sort(dim=1, descending=True)
    before = ordered.cumsum(1) - ordered
    keep = before < share.unsqueeze(1) * ordered.sum(1, keepdim=True)
    return torch.zeros_like(keep).scatter(1, order, keep).reshape(carried.shape)
