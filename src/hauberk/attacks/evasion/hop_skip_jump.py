"""HopSkipJump: walk along the decision boundary towards the clean input, by labels alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch

from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.core.threat import Norm, Threat
from hauberk.numeric.active import take
from hauberk.numeric.balls import region, size

Tensor = torch.Tensor

FIRST_PROBE = 0.1
"""Length of the first probes as a share of the input's range: nothing is known of the boundary yet (§3.4)."""
HALVINGS = 12
"""A step still too long after so many halvings is not taken: without an end a flat label would loop for ever."""
BATCH = 1024
BLOCK_VALUES = 2**23
"""Input values probed at once: 32 MiB a tensor."""


@dataclass(frozen=True, slots=True)
class Walkers:
    """Samples on their way; n of them.

    clean, x: (n, *shape), the clean input and the nearest known error. labels: (n,). distance: (n,) between the two.
    """

    clean: Tensor
    x: Tensor
    labels: Tensor
    distance: Tensor


class _Batch(NamedTuple):
    """What the attack was given: x (n, *shape), labels y (n,), and the classes seen (n,) at x."""

    x: Tensor
    y: Tensor
    seen: Tensor


class _Judge:
    """Asks for labels, and keeps the account: every sample still on its way is charged alike."""

    def __init__(self, target: Target, wanted: int | None, left: int) -> None:
        self._target, self._wanted, self.left = target, wanted, left

    def errs(self, x: Tensor, labels: Tensor) -> Tensor:
        """Tell which points (m,) the attacker would take."""
        found = torch.cat([self._target.predict(part) for part in torch.split(x, BATCH)]).argmax(1)
        return self.takes(found, labels)

    def takes(self, found: Tensor, labels: Tensor) -> Tensor:
        """Tell which answers (m,) the attacker wants."""
        return found != labels if self._wanted is None else found == self._wanted

    def charge(self, queries: int) -> bool:
        """Charge queries to each sample; False, and nothing charged, where they cannot be paid."""
        if queries > self.left:
            return False
        self.left -= queries
        return True


@dataclass(frozen=True, slots=True)
class HopSkipJump:
    """HopSkipJump, all samples side by side.

    queries: per sample; a threat's own budget goes before it. probes: random directions of the first gradient
    estimate; the t-th takes √t times as many. tries: random inputs looked at for a first error. start: "data" begins
    at the nearest input of the batch that is classified otherwise, "noise" at random inputs; each falls back on the
    other. early_stop: leave a sample once its error lies inside the ball.
    """

    card: ClassVar[Card] = Card(
        title="HopSkipJump",
        summary="Boundary walk with estimated gradients: for models that tell their decision and nothing else.",
        paper="Chen et al. 2020, arXiv:1904.02144",
        norms=("linf", "l2"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 2000
    probes: int = 40
    tries: int = 20
    start: Literal["data", "noise"] = "data"
    early_stop: bool = True

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return the nearest errors found, of x's shape, put into the ball where they lie outside.

        A sample that is wrong already, or for which no first error is found, comes back as it was.
        Raises UsageError for a threat without an linf or l2 ball.
        """
        if threat.ball is None or threat.ball.norm not in self.card.norms:
            raise UsageError("evasion.hop_skip_jump works in linf and l2 balls", where=threat.name)
        out, norm = x.clone(), threat.ball.norm
        budget = self.queries if threat.queries is None else min(self.queries, threat.queries)
        judge = _Judge(target, threat.target_class, budget)
        if not len(x) or not judge.charge(1):
            return out
        # Whoever errs already stays where he is and is never walked: there is no boundary to look for.
        seen = torch.cat([target.predict(part) for part in torch.split(x, BATCH)]).argmax(1)
        rows = (~judge.takes(seen, y)).nonzero().squeeze(1)
        if not len(rows):
            return out
        first, found = self._first(judge, _Batch(x, y, seen), rows, target.spec.bounds, norm, rng)
        rows = rows[found]
        if not len(rows):
            return out
        walkers = Walkers(x[rows], first[found], y[rows], size(first[found] - x[rows], norm))
        self._walk(judge, walkers, rows, out, threat, target.spec.bounds, rng)
        return region(threat.ball, x, target.spec.bounds).project(out)

    def _first(
        self, judge: _Judge, batch: _Batch, rows: Tensor, bounds: tuple[float, float], norm: Norm, rng: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Find a first error for each of `rows` → points and whether there is one (m,)."""
        point, found = batch.x[rows].clone(), torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
        for order in ("data", "noise") if self.start == "data" else ("noise", "data"):
            left = (~found).nonzero().squeeze(1)
            if not len(left):
                break
            if order == "data":
                got, hit = _from_data(judge, batch, rows[left], norm)
            else:
                got, hit = _from_noise(judge, batch, rows[left], bounds, self.tries, rng)
            point[left[hit]], found[left[hit]] = got[hit], True
        return point, found

    def _walk(
        self,
        judge: _Judge,
        walkers: Walkers,
        rows: Tensor,
        out: Tensor,
        threat: Threat,
        bounds: tuple[float, float],
        rng: torch.Generator,
    ) -> None:
        """Walk until the budget is spent, keeping the nearest errors in `out`."""
        assert threat.ball is not None
        norm, dimension = threat.ball.norm, math.prod(out.shape[1:])
        walkers = _onto_boundary(judge, walkers, norm, dimension)
        out[rows] = walkers.x
        step = 0
        while len(rows) and judge.left > 0:
            step += 1
            if self.early_stop:
                left = (~region(threat.ball, walkers.clean, bounds).contains(walkers.x)).nonzero().squeeze(1)
                rows, walkers = rows[left], take(walkers, left)
                if not len(rows):
                    return
            probes = round(self.probes * math.sqrt(step))
            probes = min(probes, judge.left - _bisections(norm, dimension) - HALVINGS)
            if probes < 2 or not judge.charge(probes):
                return
            length = _length(walkers, step, bounds, dimension)
            way = _way(judge, walkers, length, probes, bounds, norm, rng)
            walkers = _jump(judge, walkers, way, step, bounds, norm)
            walkers = _onto_boundary(judge, walkers, norm, dimension)
            nearer = walkers.distance < size(out[rows] - walkers.clean, norm)
            out[rows[nearer]] = walkers.x[nearer]


def _from_data(judge: _Judge, batch: _Batch, rows: Tensor, norm: Norm) -> tuple[Tensor, Tensor]:
    """Take the nearest input of the batch with an answer the attacker wants: it is known, so it costs nothing."""
    flat = batch.x.flatten(1)
    far = torch.cdist(flat[rows], flat, p=2.0 if norm == "l2" else math.inf)
    fit = judge.takes(batch.seen.expand(len(rows), -1), batch.y[rows].unsqueeze(1))
    far = far.masked_fill(~fit, math.inf)
    nearest = far.argmin(1)
    return batch.x[nearest], fit.any(1)


def _from_noise(
    judge: _Judge, batch: _Batch, rows: Tensor, bounds: tuple[float, float], tries: int, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Take the first random input with an answer the attacker wants (§3.4)."""
    clean, labels = batch.x[rows], batch.y[rows]
    point, found = clean.clone(), torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
    for _ in range(tries):
        left = (~found).nonzero().squeeze(1)
        if not len(left) or not judge.charge(1):
            break
        share = torch.rand((len(left), *clean.shape[1:]), generator=rng, device=rng.device).to(clean)
        noise = bounds[0] + share * (bounds[1] - bounds[0])
        hit = judge.errs(noise, labels[left])
        point[left[hit]], found[left[hit]] = noise[hit], True
    return point, found


def _bisections(norm: Norm, dimension: int) -> int:
    """Return the halvings down to the paper's precision, d^-1.5 in l2 and d^-2 in linf (§4.1)."""
    return max(1, math.ceil(math.log2(dimension) * (1.5 if norm == "l2" else 2.0)))


def _onto_boundary(judge: _Judge, walkers: Walkers, norm: Norm, dimension: int) -> Walkers:
    """Bisect between clean input and error; the end that errs is kept, so an error is never lost."""
    low = torch.zeros(len(walkers.x), device=walkers.x.device)
    high, best = torch.ones_like(low), walkers.x
    for _ in range(_bisections(norm, dimension)):
        if not judge.charge(1):
            break
        middle = (low + high) / 2
        point = _between(walkers, middle, norm)
        hit = judge.errs(point, walkers.labels)
        best = torch.where(_beside(hit, point), point, best)
        low, high = torch.where(hit, low, middle), torch.where(hit, middle, high)
    return Walkers(walkers.clean, best, walkers.labels, size(best - walkers.clean, norm))


def _between(walkers: Walkers, share: Tensor, norm: Norm) -> Tensor:
    """Return the point at a share of the distance: on the line in l2, cut to a smaller ball in linf."""
    if norm == "l2":
        return walkers.clean + (walkers.x - walkers.clean) * _beside(share, walkers.x)
    reach = _beside(share * walkers.distance, walkers.x)
    return torch.minimum(torch.maximum(walkers.x, walkers.clean - reach), walkers.clean + reach)


def _length(walkers: Walkers, step: int, bounds: tuple[float, float], dimension: int) -> Tensor:
    """Return how long the probes are (n,): a d-th of the distance, so that they straddle the boundary (§3.4)."""
    if step == 1:
        return torch.full_like(walkers.distance, FIRST_PROBE * (bounds[1] - bounds[0]))
    return walkers.distance / dimension


def _way(
    judge: _Judge,
    walkers: Walkers,
    length: Tensor,
    probes: int,
    bounds: tuple[float, float],
    norm: Norm,
    rng: torch.Generator,
) -> Tensor:
    """Estimate where the boundary falls back fastest (n, *shape), from answers to random probes (§3.2, equation 12)."""
    ways = []
    block = max(1, BLOCK_VALUES // max(1, probes * math.prod(walkers.x.shape[1:])))
    for rows in torch.split(torch.arange(len(walkers.x), device=walkers.x.device), block):
        x, far = walkers.x[rows].unsqueeze(1), length[rows].reshape(-1, 1, *[1] * (walkers.x.ndim - 1))
        shape = (len(rows), probes, *walkers.x.shape[1:])
        if norm == "l2":
            draw = torch.randn(shape, generator=rng, device=rng.device).to(x)
        else:
            draw = (torch.rand(shape, generator=rng, device=rng.device) * 2 - 1).to(x)
        unit = draw / size(draw.flatten(0, 1), "l2").clamp(min=1e-12).reshape(far.shape[0], probes, *far.shape[2:])
        probe = (x + far * unit).clamp(*bounds)
        labels = walkers.labels[rows].repeat_interleave(probes)
        sign = judge.errs(probe.flatten(0, 1), labels).reshape(len(rows), probes).to(x) * 2 - 1
        # Where all answers agree their mean says nothing to subtract; the plain mean of the probes is the way.
        mean = sign.mean(1, keepdim=True)
        weight = torch.where(mean.abs() == 1, sign, sign - mean)
        moved = (probe - x) / far.clamp(min=1e-12)
        ways.append((moved * weight.reshape(len(rows), probes, *far.shape[2:])).mean(1))
    way = torch.cat(ways)
    return way.sign() if norm == "linf" else way / _beside(size(way, "l2").clamp(min=1e-12), way)


def _jump(judge: _Judge, walkers: Walkers, way: Tensor, step: int, bounds: tuple[float, float], norm: Norm) -> Walkers:
    """Step away from the boundary, as far as the answer stays an error: distance / √t, halved where it does not."""
    reach, x = walkers.distance / math.sqrt(step), walkers.x.clone()
    waiting = torch.arange(len(x), device=x.device)
    for _ in range(HALVINGS):
        if not len(waiting) or not judge.charge(1):
            break
        point = (walkers.x[waiting] + way[waiting] * _beside(reach[waiting], way)).clamp(*bounds)
        hit = judge.errs(point, walkers.labels[waiting])
        x[waiting[hit]] = point[hit]
        waiting, reach = waiting[~hit], reach / 2
    return Walkers(walkers.clean, x, walkers.labels, size(x - walkers.clean, norm))


def _beside(values: Tensor, like: Tensor) -> Tensor:
    """Shape (n,) to stand beside (n, *shape)."""
    return values.reshape(-1, *[1] * (like.ndim - 1))
