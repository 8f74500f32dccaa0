"""The one driver of iterative attacks: it owns active set, batches, dtype, rounds, budget and what is kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias, TypeVar

import torch

from hauberk.attacks.driving_oracle import Lens, Oracle, Seen, batch_size
from hauberk.core.errors import DataError, MissingPower, UsageError
from hauberk.core.protocols import Differentiable, Searchable, Target
from hauberk.core.threat import Norm, Threat
from hauberk.numeric.active import Dataclass, take
from hauberk.numeric.balls import Region, floor_float32, region
from hauberk.numeric.float_types import fast_bfloat16
from hauberk.numeric.losses import Aim, Loss

Tensor = torch.Tensor

_BLOCK_VALUES = 2**24
"""Input values searched at once: an attack holds some ten tensors of this many float32 (64 MiB each)."""


@dataclass(frozen=True, slots=True)
class Driving:
    """How to search, whatever the attack; the defaults suit nearly everyone.

    early_stop: drop a sample at its first confirmed break; False: go on, and return its strongest point.
    batch: inputs per forward; None chooses by input size and device.
    draws: looks at each point whose mean is taken, for models that answer at random (expectation over transformation:
    Athalye et al. 2018, arXiv:1707.07397).
    precision: "auto" searches in bfloat16 where it is native and clearly faster (every break is confirmed in float32
    before it counts), else in float32, as does a search for the nearest error; a name fixes it, which a result to be
    repeated on another machine needs.
    quick: search with the target's quicker copy where it has one (folded batch norms, channels last); breaks are
    confirmed on the target itself.
    shrink: share of the batch that must have left before the tensors are copied to a smaller batch, 0–1.
    """

    early_stop: bool = True
    batch: int | None = None
    draws: int = 1
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    quick: bool = True
    shrink: float = 0.05


DEFAULT = Driving()


class State(Dataclass, Protocol):
    """What an attack remembers: a frozen dataclass of tensors, each with the sample as first axis.

    x: (n, *shape), the points the driver looks at next.
    """

    @property
    def x(self) -> Tensor:
        """The points to look at next."""
        ...


S = TypeVar("S", bound=State)
Measure: TypeAlias = Callable[[Tensor, Region], Tensor]
"""(moves (m, *shape), their region) → how far each goes (m,)."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a search is. index: steps done, 0 … steps − 1. region, aim: of the samples still in the batch."""

    index: int
    steps: int
    region: Region
    aim: Aim
    rng: torch.Generator


class Method(Protocol[S]):
    """What an iterative attack's file holds."""

    def start(self, region: Region, rng: torch.Generator) -> S:
        """Choose where to begin; called once a round, for samples that have left too, so that draws stay the same."""
        ...

    def step(self, state: S, seen: Seen, turn: Turn) -> S:
        """Choose the next points from what was seen at state.x; they must lie in the region."""
        ...


@dataclass(frozen=True, slots=True)
class Round:
    """One search from a fresh start: `steps` gradients and one last look.

    rank: climb towards the rank-th likeliest other class of the clean input (1 = the likeliest); None: any other.
    A round whose rank the target has no class for is left out.
    blind: tells of a step's index whether its look needs no gradient; there Seen.loss and Seen.gradient are empty.
    lens: gives the lens of a step's look by its index, where it is not the plan's throughout.
    """

    loss: Loss
    steps: int
    rank: int | None = None
    blind: Callable[[int], bool] | None = None
    lens: Callable[[int], Lens | None] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The rounds in order and what is kept of them; later rounds see only samples that no earlier one broke.

    keep: "strongest" keeps where the error leads most; "nearest" the error of smallest norm; "last" where the search
    ends, whatever it met on its way: nobody leaves, and no look is confirmed, as nothing counts on this target.
    leave: when a sample leaves an early-stopping search: once it is "broken", or once an error lies "inside" the
    threat's ball (without a ball: never), which a search for the nearest error wants.
    free: search the whole box, the ball only cuts what comes back. norm: of a free search under a threat without ball.
    last_look: False returns a round's last points unseen and saves that forward. width: directions a loss asks for.
    lens: a differentiable, random view (m, *shape) → (m, …) the search looks through (another size, another scale, a
    printed patch); what counts as a break is asked without it. views: how many of them a look takes the mean of.
    measure: of a move (m, *shape) in its region → (m,), what "nearest" means under a threat without ball; None: `norm`.
    """

    rounds: tuple[Round, ...]
    keep: Literal["strongest", "nearest", "last"] = "strongest"
    leave: Literal["broken", "inside"] = "broken"
    free: bool = False
    norm: Norm = "l2"
    last_look: bool = True
    width: int = 1
    lens: Lens | None = None
    views: int = 1
    measure: Measure | None = None


def drive(
    method: Method[S],
    plan: Plan,
    target: Target,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    rng: torch.Generator,
    driving: Driving,
) -> Tensor:
    """Search adversarial points for x (n, *shape), labels y (n,) → (n, *shape) float32 inside the threat's region.

    Raises MissingPower where the target has no gradients, UsageError for a threat without the ball it needs,
    DataError for inputs outside the target's bounds or labels that are no class, TargetOutput for NaN scores.
    """
    if not isinstance(target, Differentiable):
        raise MissingPower(f"{target.spec.name} gives no gradients", fix="choose a black-box attack")
    if threat.ball is None and not plan.free:
        raise UsageError(f"threat {threat.name} has no ball", fix="give it a norm and a radius")
    _check(target, x, y)
    x, y = x.detach().float(), y.to(x.device)
    batch = driving.batch or batch_size(x.shape[1:], x.device)
    searched = _searched(target, x) if driving.quick and threat.queries is None else target
    low = threat.queries is None and searched is not None and _low(driving, plan, x.device)
    oracle = Oracle(target, batch, low, plan.lens, driving.draws * plan.views, rng, searched)
    rows = max(1, _BLOCK_VALUES // max(plan.width * math.prod(x.shape[1:]), target.spec.classes, 1))
    pieces = [
        _block(method, plan, oracle, part, labels, threat, rng, driving)
        for part, labels in zip(torch.split(x, rows), torch.split(y, rows), strict=True)
    ]
    return torch.cat(pieces) if pieces else x.clone()


def ball_norm(threat: Threat, norms: tuple[str, ...], attack: str) -> Norm:
    """Return the norm of the threat's ball; raises UsageError where it has none or `attack` does not work in it."""
    if threat.ball is None or threat.ball.norm not in norms:
        have = f"{threat.ball.norm}" if threat.ball else "no ball"
        raise UsageError(f"{attack} works in {', '.join(norms)}; threat {threat.name} has {have}")
    return threat.ball.norm


def _searched(target: Differentiable, x: Tensor) -> Differentiable | None:
    """Return the quickest form of the target to search with; None where the model is too small to gain."""
    return target.search_copy(x) if len(x) and isinstance(target, Searchable) else target


def _low(driving: Driving, plan: Plan, device: torch.device) -> bool:
    """A search for the nearest error lives on the boundary, where bfloat16 tells neither side nor distance."""
    if driving.precision == "auto":
        return plan.keep != "nearest" and fast_bfloat16(device)
    return driving.precision == "bfloat16"


def _check(target: Target, x: Tensor, y: Tensor) -> None:
    low, high = target.spec.bounds
    if len(x) != len(y):
        raise DataError(f"{len(x)} inputs but {len(y)} labels")
    if len(x) and not bool(((x >= low) & (x <= high)).all()):
        raise DataError(
            f"inputs reach from {float(x.min()):g} to {float(x.max()):g}, outside the target's {low}–{high}"
        )
    if not target.spec.classes and len(x):
        target.predict(x[:1].detach().float())  # a target may learn what it is from its first answer
    if target.spec.classes == 1 and len(x):
        raise DataError("the target has one class: there is no error to look for", where=target.spec.name)
    if y.is_floating_point():
        raise DataError(f"labels are {y.dtype}", fix="give class indices as integers")
    if len(y) and not 0 <= int(y.min()) <= int(y.max()) < target.spec.classes:
        raise DataError(
            f"labels reach from {int(y.min())} to {int(y.max())}; the target has {target.spec.classes} classes"
        )


class _Harvest:
    """The best point of each sample so far; the one thing that changes while a block is searched.

    radius: an error this near lets its sample leave an early search; infinite where any error does. measure: of how
    near; None for the region's norm.
    """

    def __init__(self, x: Tensor, *, nearest: bool, early: bool, radius: float, measure: Measure | None = None) -> None:
        self.x = x.clone()
        self.score = x.new_full((len(x),), -torch.inf)
        self.left = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        self.broken = torch.zeros_like(self.left)
        self.nearest, self.early, self.radius, self.measure = nearest, early, radius, measure

    def open(self) -> Tensor:
        """Rows (m,) that are still searched."""
        return (~self.left).nonzero().squeeze(1) if self.early else torch.arange(len(self.x), device=self.x.device)

    def gather(self, rows: Tensor, x: Tensor, seen: Seen, region: Region, *, last: bool = False) -> None:
        """Keep what is better than before of the points x (m, *shape) of `rows`; ties go to the later point.

        An early search that asks for no more than a break copies points only where the error leads, however little,
        and at its last look.
        """
        score = torch.where(seen.hit, -self._size(x, region), -torch.inf) if self.nearest else seen.lead
        better = score >= self.score[rows]
        if self.early:
            better &= ~self.left[rows]
            if not last:
                better &= seen.lead > 0
        which = better.nonzero().squeeze(1)
        if len(which):
            kept = rows[which]
            self.x.index_copy_(0, kept, x[which])
            self.score[kept] = score[which]
            self.broken[rows[seen.hit]] = True
            near = seen.hit & (-score <= self.radius) if self.nearest else seen.hit
            self.left[rows[near]] = True

    def _size(self, x: Tensor, region: Region) -> Tensor:
        return region.distance(x) if self.measure is None else self.measure(x - region.center, region)


def _block(
    method: Method[S],
    plan: Plan,
    oracle: Oracle,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    rng: torch.Generator,
    driving: Driving,
) -> Tensor:
    where = region(None if plan.free else threat.ball, x, oracle.target.spec.bounds, _norm(plan, threat))
    aim = _aim(y, threat)
    nearest = plan.keep == "nearest"
    measure = plan.measure if threat.ball is None else None
    harvest = _Harvest(x, nearest=nearest, early=driving.early_stop, radius=_enough(plan, threat), measure=measure)
    left = math.inf if threat.queries is None else threat.queries
    ranks = None
    for turn in plan.rounds:
        if turn.rank is not None and ranks is None:
            deepest = max(turn.rank or 0 for turn in plan.rounds)
            ranks, left = _ranks(oracle, x, aim, deepest), left - 1
        if turn.rank is not None and ranks is not None and turn.rank > ranks.shape[1]:
            continue
        steps = int(min(turn.steps, left - int(plan.last_look)))
        if steps < 0 or not len(harvest.open()):
            break
        chosen = aim if turn.rank is None or ranks is None else Aim(y, ranks[:, turn.rank - 1])
        _search(method, plan, oracle, replace(turn, steps=steps), where, chosen, rng, driving.shrink, harvest)
        left -= steps + int(plan.last_look)
    if plan.free and threat.ball is not None:
        return region(threat.ball, x, oracle.target.spec.bounds).project(harvest.x)
    return harvest.x


def _enough(plan: Plan, threat: Threat) -> float:
    """Return how near an error must be for its sample to leave."""
    if plan.leave == "broken":
        return math.inf
    return -math.inf if threat.ball is None else floor_float32(threat.ball.radius)


def _norm(plan: Plan, threat: Threat) -> Norm:
    return plan.norm if threat.ball is None else threat.ball.norm


def _aim(y: Tensor, threat: Threat) -> Aim:
    if threat.target_class is None:
        return Aim(y)
    return Aim(y, torch.full_like(y, threat.target_class), strict=True)


def _ranks(oracle: Oracle, x: Tensor, aim: Aim, deepest: int) -> Tensor:
    """Order the likeliest other classes of clean inputs (n, deepest), or fewer where the target has no more."""
    logits = oracle.glance(x, aim).logits.scatter(1, aim.labels.unsqueeze(1), -torch.inf)
    return logits.topk(min(deepest, logits.shape[1] - 1), dim=1).indices


def _search(
    method: Method[S],
    plan: Plan,
    oracle: Oracle,
    turn: Round,
    where: Region,
    aim: Aim,
    rng: torch.Generator,
    shrink: float,
    harvest: _Harvest,
) -> None:
    rows = harvest.open()
    state = method.start(where, rng)
    if len(rows) < len(harvest.x):
        state, where, aim = take(state, rows), take(where, rows), take(aim, rows)
    for index in range(turn.steps):
        asked = oracle if turn.lens is None else replace(oracle, lens=turn.lens(index))
        if turn.blind is not None and turn.blind(index):
            seen = asked.glance(state.x, aim)
        else:
            seen = asked.look(state.x, aim, turn.loss)
        if plan.keep == "last":
            state = method.step(state, seen, Turn(index, turn.steps, where, aim, rng))
            continue
        seen = _confirmed(asked, seen, state.x, aim)
        harvest.gather(rows, state.x, seen, where)
        if harvest.early:
            stay = (~harvest.left[rows]).nonzero().squeeze(1)
            if not len(stay):
                return
            if len(rows) - len(stay) >= max(1.0, shrink * len(rows)):
                rows = rows[stay]
                state, seen, where, aim = take(state, stay), take(seen, stay), take(where, stay), take(aim, stay)
        state = method.step(state, seen, Turn(index, turn.steps, where, aim, rng))
    if plan.keep == "last":
        harvest.x[rows] = state.x
    elif plan.last_look:
        harvest.gather(rows, state.x, oracle.glance(state.x, aim), where, last=True)
    else:
        _leave_unseen(harvest, rows, state.x)


def _leave_unseen(harvest: _Harvest, rows: Tensor, x: Tensor) -> None:
    """Return last points nobody looked at, except where an earlier one is known to break."""
    fresh = ~harvest.broken[rows]
    harvest.x[rows[fresh]] = x[fresh]


def _confirmed(oracle: Oracle, seen: Seen, x: Tensor, aim: Aim) -> Seen:
    """Ask the target itself, in float32, where a search in bfloat16, through a lens or of a copy found a break."""
    if oracle.plain or not bool(seen.hit.any()):
        return seen
    rows = seen.hit.nonzero().squeeze(1)
    sure = oracle.glance(x[rows], take(aim, rows))
    lead, hit = seen.lead.index_copy(0, rows, sure.lead), seen.hit.index_copy(0, rows, sure.hit)
    return Seen(seen.logits, lead, hit, seen.loss, seen.gradient)
