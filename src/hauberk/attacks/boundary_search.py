"""What searches by labels alone share: a first error, the way onto the boundary, the nearest error, the account."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch

from hauberk.attacks.driver import ball_norm
from hauberk.attacks.inquiry import Inquiry
from hauberk.core.protocols import Target
from hauberk.core.threat import Norm, Threat
from hauberk.numeric.active import take
from hauberk.numeric.balls import floor_float32, region, size

Tensor = torch.Tensor
Start: TypeAlias = Literal["data", "noise"]

_SURELY = 1 - 1e-6
"""Share of the radius within which an error lies in the ball whatever the rounding: its sample may leave."""
_BLOCK_VALUES = 2**22
"""Input values compared or probed at once: 16 MiB a tensor."""
_LEAST_HALVINGS = 10
"""For inputs of few values, where the dimension asks for next to no precision."""
_COARSEST = 4
"""Random inputs for a first error come in grains of 1, 2 or 4 values a side: fine noise is but grey to many models."""


@dataclass(frozen=True, slots=True)
class Walkers:
    """Samples on their way; n of them.

    rows: (n,) int64, their places among the samples attacked. clean, x: (n, *shape), the clean input and an error.
    distance: (n,) between the two.
    """

    rows: Tensor
    clean: Tensor
    x: Tensor
    distance: Tensor


class Hunt:
    """A search for the nearest errors of x (n, *shape) with labels y (n,), asking for classes alone.

    Each question is charged to the sample it is about; a threat's own budget goes before `queries`. early: a sample
    leaves once an error lies inside the ball. norm, bounds: of the search. clean: x. left: (n,) int64, queries a
    sample may still cost. Raises UsageError for a threat without a ball of `norms`; `name` is the attack's.
    """

    def __init__(
        self,
        target: Target,
        x: Tensor,
        y: Tensor,
        threat: Threat,
        queries: int,
        *,
        name: str,
        norms: tuple[str, ...],
        early: bool = True,
    ) -> None:
        self.norm: Norm = ball_norm(threat, norms, name)
        y = y.to(x.device)
        self.bounds, self.clean = target.spec.bounds, x
        self._labels, self._threat, self._early = y, threat, early
        self._inquiry = Inquiry(target, x, y, threat, queries)
        radius = floor_float32(threat.ball.radius) if threat.ball else math.inf
        self._radius = math.floor(radius) if self.norm == "l0" and math.isfinite(radius) else radius * _SURELY
        self.left = torch.full_like(y, max(0, self._inquiry.left))
        self._best, self._nearest = x.clone(), torch.full((len(x),), torch.inf, device=x.device)
        self._seen = torch.full_like(y, -1)

    @property
    def dimension(self) -> int:
        """Count the values of one input."""
        return math.prod(self.clean.shape[1:])

    @property
    def distances(self) -> Tensor:
        """How far the nearest error lies (n,), whether in the ball or not; infinite where none was found."""
        return self._nearest

    def open(self) -> Tensor:
        """Ask for the clean inputs → rows (m,) that do not err yet; whoever does stays as he is."""
        if not len(self.clean) or int(self.left[0]) < 1:
            return torch.zeros(0, dtype=torch.long, device=self.clean.device)
        self.left -= 1
        self._seen = self._inquiry.scores(self.clean).argmax(1)
        return (~self._inquiry.takes(self._seen, self._labels)).nonzero().squeeze(1)

    def begin(self, start: Start, tries: int, rng: torch.Generator) -> Walkers:
        """Find a first error for each sample that is not wrong already, and bring it onto the boundary."""
        return self.onto_boundary(self.first(start, tries, rng))

    def first(self, start: Start, tries: int, rng: torch.Generator) -> Walkers:
        """Find a first error for each sample that is not wrong already.

        "data" begins at the nearest input of the batch with an answer the attacker wants, "noise" at random inputs,
        `tries` at most; each falls back on the other. A sample that has none is not among the walkers.
        """
        rows = self.open()
        point, found = self.clean[rows], torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
        for source in ("data", "noise") if start == "data" else ("noise", "data"):
            left = (~found).nonzero().squeeze(1)
            if len(left):
                got, hit = self.neighbour(rows[left]) if source == "data" else self._from_noise(rows[left], tries, rng)
                point[left[hit]], found[left[hit]] = got[hit], True
        return self.walkers(rows[found], point[found])

    def walkers(self, rows: Tensor, x: Tensor) -> Walkers:
        """Put samples (m,) on their way at errors x (m, *shape)."""
        return Walkers(rows, self.clean[rows], x, size(x - self.clean[rows], self.norm))

    def at(self, walkers: Walkers, x: Tensor) -> Walkers:
        """Move walkers to errors x (n, *shape)."""
        return replace(walkers, x=x, distance=size(x - walkers.clean, self.norm))

    def errs(self, points: Tensor, rows: Tensor) -> Tensor:
        """Ask for points (m, *shape) about samples `rows` (m,), which may repeat → (m,): would the attacker take it?

        A sample that cannot pay for all of its points is not asked, and the answer is no.
        """
        asked = torch.bincount(rows, minlength=len(self.left))
        able = asked <= self.left
        self.left -= torch.where(able, asked, 0)
        paid = able[rows]
        if not bool(paid.any()):
            return paid
        if bool(paid.all()):
            return self._inquiry.errs(points, rows)
        hit, sure = torch.zeros_like(paid), paid.nonzero().squeeze(1)
        hit[sure] = self._inquiry.errs(points[sure], rows[sure])
        return hit

    def keep(self, walkers: Walkers) -> Tensor:
        """Keep errors that are nearer than all before → places (m,) of the walkers that go on.

        Who has an error inside the ball leaves an early search; who has no queries left, any.
        """
        nearer = walkers.distance < self._nearest[walkers.rows]
        rows = walkers.rows[nearer]
        self._best[rows], self._nearest[rows] = walkers.x[nearer], walkers.distance[nearer]
        on = self.left[walkers.rows] > 0
        if self._early:
            on &= self._nearest[walkers.rows] > self._radius
        return on.nonzero().squeeze(1)

    def found(self) -> Tensor:
        """Return the nearest errors (n, *shape), put into the ball; a sample without one comes back as it was."""
        return region(self._threat.ball, self.clean, self.bounds).project(self._best)

    def holds(self, points: Tensor, rows: Tensor) -> Tensor:
        """Tell which points (m, *shape) surely lie in the balls of samples `rows` (m,)."""
        return size(points - self.clean[rows], self.norm) <= self._radius

    def onto_boundary(self, walkers: Walkers) -> Walkers:
        """Bisect between clean inputs and errors."""
        count = precise(self.norm, self.dimension)
        return self.at(walkers, self.bisect(walkers, lambda share: between(walkers, share, self.norm), count))

    def bisect(self, walkers: Walkers, path: Callable[[Tensor], Tensor], halvings: int) -> Tensor:
        """Find where errors begin on paths share (n,) → points (n, *shape), whose end at 1 errs: walkers.x.

        The end that errs is kept, so an error is never lost, whatever the answers and the budget.
        """
        low, high, best = torch.zeros_like(walkers.distance), torch.ones_like(walkers.distance), walkers.x
        for _ in range(halvings):
            middle = (low + high) / 2
            point = path(middle)
            hit = self.errs(point, walkers.rows)
            best = torch.where(beside(hit, point), point, best)
            low, high = torch.where(hit, low, middle), torch.where(hit, middle, high)
        return best

    def slope(self, walkers: Walkers, counts: Tensor, probe: Callable[[Walkers, int], Tensor]) -> Tensor:
        """Estimate where errors lie thickest around walkers, by random probes → unit directions (n, *shape).

        counts: (n,) probes of each. probe: makes m points for each of some walkers, (n, m, *shape). The sum of
        (answer − mean answer) · move varies least (Chen et al. 2020, arXiv:1904.02144, equation 16).
        """
        slopes, most = [], int(counts.max())
        block = max(1, _BLOCK_VALUES // max(1, most * self.dimension))
        for part in torch.split(torch.arange(len(counts), device=counts.device), block):
            own = going(part, walkers)
            points = probe(own, most).clamp_(*self.bounds)
            asked = torch.arange(most, device=counts.device) < counts[part].unsqueeze(1)
            rows = own.rows.unsqueeze(1).expand(-1, most)
            sign = torch.zeros(asked.shape, device=counts.device)
            if bool(asked.all()):
                sign = self.errs(points.flatten(0, 1), rows.flatten()).float().reshape(sign.shape) * 2 - 1
            else:
                sign[asked] = self.errs(points[asked], rows[asked]).float() * 2 - 1
            mean = sign.sum(1, keepdim=True) / counts[part].clamp(min=1).unsqueeze(1)
            # Where all answers agree their mean says nothing to subtract; the plain mean of the probes is the way.
            weight = torch.where(asked, torch.where(mean.abs() == 1, sign, sign - mean), 0.0)
            move = points.sub_(own.x.unsqueeze(1)).flatten(2)
            slopes.append(unit(torch.bmm(weight.unsqueeze(1), move).reshape(own.x.shape)))
        return torch.cat(slopes)

    def neighbour(self, rows: Tensor, rank: int = 0) -> tuple[Tensor, Tensor]:
        """Take the nearest input of the batch (rank 0) with an answer the attacker wants, or a later one.

        It is known, so it costs nothing → inputs (m, *shape), and whether there is one (m,).
        """
        order = {"l0": 0.0, "l1": 1.0, "l2": 2.0, "linf": math.inf}[self.norm]
        flat, which, fits = self.clean.flatten(1), [rows[:0]], [rows[:0] > 0]
        rank = min(rank, max(0, len(flat) - 1))
        for part in torch.split(rows, max(1, _BLOCK_VALUES // max(1, len(flat)))):
            fit = self._inquiry.takes(self._seen.expand(len(part), -1), self._labels[part].unsqueeze(1))
            far = torch.cdist(flat[part], flat, p=order).masked_fill(~fit, math.inf)
            which.append(far.topk(rank + 1, dim=1, largest=False).indices[:, rank])
            fits.append(fit.sum(1) > rank)
        return self.clean[torch.cat(which)], torch.cat(fits)

    def _from_noise(self, rows: Tensor, tries: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Take the first random input with an answer the attacker wants."""
        point, found = self.clean[rows].clone(), torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
        low, high = self.bounds
        for turn in range(tries):
            left = (~found).nonzero().squeeze(1)
            if not len(left):
                break
            share = grainy((len(left), *self.clean.shape[1:]), 2 ** (turn % (int(math.log2(_COARSEST)) + 1)), rng)
            noise = low + share.to(point) * (high - low)
            hit = self.errs(noise, rows[left])
            point[left[hit]], found[left[hit]] = noise[hit], True
        return point, found


def grainy(shape: tuple[int, ...], grain: int, rng: torch.Generator) -> Tensor:
    """Draw uniform numbers, 0–1, that are equal within squares of `grain` values of an image (n, c, h, w)."""
    if len(shape) != 4 or grain == 1:
        return torch.rand(shape, generator=rng, device=rng.device)
    n, c, h, w = shape
    coarse = torch.rand((n, c, -(-h // grain), -(-w // grain)), generator=rng, device=rng.device)
    return coarse.repeat_interleave(grain, 2)[:, :, :h].repeat_interleave(grain, 3)[:, :, :, :w]


def between(walkers: Walkers, share: Tensor, norm: Norm) -> Tensor:
    """Return the point at a share (n,) of the distance: on the line in l2 and l1, in linf the error cut to a smaller
    ball, in l0 the error with its largest changes alone.
    """
    move = walkers.x - walkers.clean
    if norm == "linf":
        reach = beside(share * walkers.distance, move)
        return walkers.clean + torch.minimum(torch.maximum(move, -reach), reach)
    if norm == "l0":
        rank = move.flatten(1).abs().argsort(1, descending=True).argsort(1).reshape(move.shape)
        return torch.where(rank < beside((share * walkers.distance).ceil(), move), walkers.x, walkers.clean)
    return walkers.clean + move * beside(share, move)


def precise(norm: Norm, dimension: int) -> int:
    """Return the halvings down to HopSkipJump's precision, d^-1.5 in l2 and d^-2 in linf; in l0 to one coordinate."""
    if norm == "l0":
        return math.ceil(math.log2(dimension))
    return max(_LEAST_HALVINGS, math.ceil(math.log2(dimension) * (2.0 if norm == "linf" else 1.5)))


def going(stay: Tensor, walkers: Walkers) -> Walkers:
    """Keep the walkers at these places (m,); where all stay nothing is copied."""
    return walkers if len(stay) == len(walkers.rows) else take(walkers, stay)


def unit(ways: Tensor) -> Tensor:
    """Scale directions (n, *shape) to length 1; a zero one stays zero."""
    return ways / beside(size(ways, "l2").clamp(min=1e-12), ways)


def beside(values: Tensor, like: Tensor) -> Tensor:
    """Shape (n,) to stand beside (n, *shape)."""
    return values.reshape(-1, *[1] * (like.ndim - 1))
