"""One chunk of samples, examined whole: clean answers, the cascade, the curve's radii, and what a resumed run needs."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
import torch

from hauberk.attacks.allowed import allowed
from hauberk.attacks.cascade import Assault, answers, assault, errs
from hauberk.core.protocols import Dataset, EvasionAttack, Target
from hauberk.core.threat import Threat

BISECTIONS = 8
"""Halvings of the way from clean to adversarial input: the error found lies 1/256 of that way from the boundary."""
ASKED_AGAIN = 8
"""Broken samples of a chunk that are asked once more, one at a time."""
NOISE_OF_BATCHES = 1e-3
"""Scores of one input may differ by this share of their range between batches: other kernels sum in another order."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """An adversarial example kept for people to look at.

    sample: index in the test split. adversarial: row-major float32 bytes, little-endian.
    """

    sample: int
    adversarial: bytes
    predicted_clean: int
    predicted_adversarial: int
    distance: float


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What happened to each sample of a chunk, and what it cost. Canonical JSON of it is a checkpoint's state.

    samples: their indices in the test split. stage: 0 wrong before any attack, k broken by the k-th attack, -1 robust.
    distance: of the nearest adversarial input found, -1 where none is known.
    curve: per radius of the plan, per sample: robust there. attacked, queries, gradients: per attack.
    strays: candidates outside the set. again, flipped: samples asked again alone, and how many answered otherwise.
    claimed: per attack, samples it called broken itself; -1 where it says nothing of it.
    """

    samples: tuple[int, ...]
    stage: tuple[int, ...]
    distance: tuple[float, ...]
    curve: tuple[tuple[bool, ...], ...]
    attacked: tuple[int, ...]
    queries: tuple[int, ...]
    gradients: tuple[int, ...]
    strays: int = 0
    again: int = 0
    flipped: int = 0
    faults: tuple[str, ...] = ()
    claimed: tuple[int, ...] = ()
    exhibits: tuple[Kept, ...] = ()


@dataclass(frozen=True, slots=True)
class Bench:
    """What every chunk of an examination shares. seed: of everything random in it."""

    target: Target
    attacks: tuple[EvasionAttack, ...]
    threat: Threat
    radii: tuple[float, ...]
    seed: int


class Samples(NamedTuple):
    """Samples of a chunk: inputs x (n, *shape), labels y (n,), rows: indices in the test split (n,)."""

    x: torch.Tensor
    y: torch.Tensor
    rows: torch.Tensor


class _Nearest(NamedTuple):
    """The nearest adversarial inputs known: x (n, *shape) and their distance (n,), infinite where none is."""

    x: torch.Tensor
    distance: torch.Tensor


def samples_at(data: Dataset, index: torch.Tensor) -> Samples:
    """Copy some test samples into tensors, so that nothing an attack does can reach the data set."""
    rows = index.numpy()
    x = torch.from_numpy(np.array(data.test.x[rows], dtype=np.float32))
    return Samples(x, torch.from_numpy(np.array(data.test.y[rows], dtype=np.int64)), index)


def stream(seed: int, *parts: int | str) -> torch.Generator:
    """Make a random source of its own for each place: no two places share one, and their order does not matter."""
    digest = hashlib.sha256("/".join(map(str, (seed, *parts))).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def streams(seed: int, count: int, *parts: int | str) -> tuple[torch.Generator, ...]:
    """Make one random source for each of `count` attacks."""
    return tuple(stream(seed, *parts, index) for index in range(count))


def examine_chunk(bench: Bench, samples: Samples, part: int, exhibits: int) -> Outcome:
    """Attack a chunk's samples. part: its index, which only seeds. exhibits: examples to keep at most.

    Raises TargetError and its like from the target under test.
    """
    x, y = samples.x, samples.y
    clean = answers(bench.target, x).argmax(1)
    right = (clean == y).nonzero().squeeze(1)
    done = assault(
        bench.target, bench.attacks, x[right], y[right], bench.threat, streams(bench.seed, len(bench.attacks), part)
    )
    stage = torch.zeros(len(x), dtype=torch.long).index_copy(0, right, done.stage)
    broken = (stage > 0).nonzero().squeeze(1)
    adversarial = x.index_copy(0, right, done.x)
    nearest = _nearer(bench, x, y, adversarial, broken)
    curve, nearest = _curve(bench, x, y, stage, nearest, part)
    again, flipped = _asked_again(bench, adversarial[broken], part)
    return Outcome(
        samples=tuple(samples.rows.tolist()),
        stage=tuple(stage.tolist()),
        distance=tuple(value if math.isfinite(value) else -1.0 for value in nearest.distance.tolist()),
        curve=curve,
        attacked=done.attacked,
        queries=done.queries,
        gradients=done.gradients,
        strays=done.strays,
        again=again,
        flipped=flipped,
        faults=done.faults,
        claimed=done.claimed,
        exhibits=_exhibits(bench, samples, clean, adversarial, broken[:exhibits]),
    )


def _nearer(bench: Bench, x: torch.Tensor, y: torch.Tensor, found: torch.Tensor, broken: torch.Tensor) -> _Nearest:
    """Measure how near the errors found are; where questions are free, look on the way back to the clean input too."""
    distance = torch.full((len(x),), math.inf)
    if not len(broken):
        return _Nearest(found, distance)
    nearest, center, labels = found[broken], x[broken], y[broken]
    where = allowed(bench.threat, center, bench.target.spec.bounds)
    ball = bench.threat.ball
    if bench.threat.kind == "ball" and ball is not None and ball.norm != "l0" and _free(bench):
        low, high = torch.zeros(len(broken)), torch.ones(len(broken))
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            point = where.project(center + (found[broken] - center) * _column(middle, center))
            wrong = errs(answers(bench.target, point), labels, bench.threat)
            nearest = torch.where(_column(wrong, center), point, nearest)
            low, high = torch.where(wrong, low, middle), torch.where(wrong, middle, high)
    distance[broken] = where.distance(nearest).to(distance)
    return _Nearest(found.index_copy(0, broken, nearest), distance)


def _free(bench: Bench) -> bool:
    """Tell whether questions cost the owner nothing worth speaking of: the model is in our hands."""
    return bench.threat.knowledge == "white-box"


def _curve(
    bench: Bench, x: torch.Tensor, y: torch.Tensor, stage: torch.Tensor, nearest: _Nearest, part: int
) -> tuple[tuple[tuple[bool, ...], ...], _Nearest]:
    """Tell for each radius who is robust there; who errs at a radius errs at every larger one, by definition of a ball.

    Smaller radii come first to hand from the errors found: they count where they are near enough, or still err when
    projected. Only the rest is attacked anew.
    """
    own = bench.threat.ball
    if own is None or bench.threat.kind != "ball":
        return (), nearest
    robust: dict[float, torch.Tensor] = {own.radius: stage < 0}
    wrong_anyway = stage == 0
    above = stage < 0
    for radius in sorted((r for r in bench.radii if r < own.radius), reverse=True):
        nearest = _at(bench, x, y, ~above & ~wrong_anyway, nearest, radius, part)
        above = ~wrong_anyway & (nearest.distance > _reach(radius))
        robust[radius] = above
    below = stage < 0
    for radius in sorted(r for r in bench.radii if r > own.radius):
        nearest = _at(bench, x, y, below, nearest, radius, part)
        below = below & (nearest.distance > _reach(radius))
        robust[radius] = below
    return tuple(tuple(robust[radius].tolist()) for radius in bench.radii), nearest


def _reach(radius: float) -> float:
    # A distance in float32 of a point that projection put inside is below the radius itself but for one rounding.
    return radius * (1 + 1e-6)


def _at(
    bench: Bench,
    x: torch.Tensor,
    y: torch.Tensor,
    candidates: torch.Tensor,
    nearest: _Nearest,
    radius: float,
    part: int,
) -> _Nearest:
    """Look for errors within `radius` of the candidates (n,) bool that have none yet."""
    threat, bounds = bench.threat.radius(radius), bench.target.spec.bounds
    point, distance = nearest.x.clone(), nearest.distance.clone()
    known = candidates & distance.isfinite() & (distance > _reach(radius))
    rows = known.nonzero().squeeze(1)
    if len(rows):
        where = allowed(threat, x[rows], bounds)
        pulled = where.project(point[rows])
        wrong = errs(answers(bench.target, pulled), y[rows], threat)
        point[rows[wrong]] = pulled[wrong]
        distance[rows[wrong]] = where.distance(pulled)[wrong].to(distance)
    rows = (candidates & (distance > _reach(radius))).nonzero().squeeze(1)
    if len(rows):
        place = streams(bench.seed, len(bench.attacks), part, f"{radius!r}")
        done: Assault = assault(bench.target, bench.attacks, x[rows], y[rows], threat, place)
        hit = done.stage > 0
        far = allowed(threat, x[rows], bounds).distance(done.x)
        point[rows[hit]] = done.x[hit]
        distance[rows[hit]] = far[hit].to(distance)
    return _Nearest(point, distance)


def _asked_again(bench: Bench, broken: torch.Tensor, part: int) -> tuple[int, int]:
    """Ask a few broken samples again, one at a time: a batch's company must not decide what its members are."""
    rows = torch.randperm(len(broken), generator=stream(bench.seed, "again", part))[:ASKED_AGAIN]
    if not len(rows) or not _free(bench):
        return 0, 0
    together, alone = answers(bench.target, broken[rows]), answers(bench.target, broken[rows], batch=1)
    return len(rows), int(differ(together, alone).sum())


def differ(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Tell which rows (n,) of two answers (n, classes) differ by more than rounding."""
    spread = (first.amax(1) - first.amin(1)).clamp(min=1e-12)
    return (first - second).abs().amax(1) > NOISE_OF_BATCHES * spread


def _exhibits(
    bench: Bench, samples: Samples, clean: torch.Tensor, adversarial: torch.Tensor, rows: torch.Tensor
) -> tuple[Kept, ...]:
    if not len(rows):
        return ()
    found = answers(bench.target, adversarial[rows]).argmax(1)
    far = allowed(bench.threat, samples.x[rows], bench.target.spec.bounds).distance(adversarial[rows])
    return tuple(
        Kept(
            sample=int(samples.rows[row]),
            adversarial=np.ascontiguousarray(adversarial[row].numpy(), dtype="<f4").tobytes(),
            predicted_clean=int(clean[row]),
            predicted_adversarial=int(found[place]),
            distance=float(far[place]),
        )
        for place, row in enumerate(rows.tolist())
    )


def _column(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Shape (n,) to stand beside (n, *shape)."""
    return values.reshape(-1, *[1] * (like.ndim - 1))
