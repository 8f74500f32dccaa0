"""One chunk of samples, examined whole: clean answers, the cascade, the curve's radii, and what a resumed run needs."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import msgspec
import numpy as np
import torch

from hauberk.attacks.allowed import allowed
from hauberk.attacks.cascade import Assault, answers, assault, errs
from hauberk.attacks.driver import Driving
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


class _Hunted(NamedTuple):
    """What became of a chunk's n samples.

    stage: (n,), as in Outcome. x: (n, *shape), an error within the threat's radius where there is one.
    """

    stage: torch.Tensor
    x: torch.Tensor
    nearest: _Nearest
    curve: tuple[tuple[bool, ...], ...]
    costs: Assault


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


def one_search(attacks: tuple[EvasionAttack, ...], threat: Threat, radii: tuple[float, ...]) -> bool:
    """Tell whether one search by each attack serves every radius: all look for the nearest error, not for any."""
    several = threat.kind == "ball" and len(radii) > 1
    return several and bool(attacks) and all(attack.card.nearest for attack in attacks)


def examine_chunk(bench: Bench, samples: Samples, part: int, exhibits: int) -> Outcome:
    """Attack a chunk's samples. part: its index, which only seeds. exhibits: examples to keep at most.

    Raises TargetError and its like from the target under test.
    """
    x, y = samples.x, samples.y
    clean = answers(bench.target, x).argmax(1)
    right = (clean == y).nonzero().squeeze(1)
    hunt = _swept if one_search(bench.attacks, bench.threat, bench.radii) else _attacked
    stage, adversarial, nearest, curve, done = hunt(bench, x, y, right, part)
    broken = (stage > 0).nonzero().squeeze(1)
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


def _attacked(bench: Bench, x: torch.Tensor, y: torch.Tensor, right: torch.Tensor, part: int) -> _Hunted:
    """Attack the samples answered rightly (m,) at the threat's radius, and then at each radius of the curve."""
    place = streams(bench.seed, len(bench.attacks), part)
    done = assault(bench.target, bench.attacks, x[right], y[right], bench.threat, place)
    stage = torch.zeros(len(x), dtype=torch.long).index_copy(0, right, done.stage)
    found = x.index_copy(0, right, done.x)
    nearest = _nearer(bench, x, y, found, (stage > 0).nonzero().squeeze(1))
    curve, nearest = _curve(bench, x, y, stage, nearest, part)
    return _Hunted(stage, found, nearest, curve, done)


def _swept(bench: Bench, x: torch.Tensor, y: torch.Tensor, right: torch.Tensor, part: int) -> _Hunted:
    """Attack once, within the largest radius, and read every radius off the distances of the errors found.

    An attack sees every sample without an error within the least radius: it may find a nearer one than those before.
    """
    assert bench.threat.ball is not None
    own, count = bench.threat.ball.radius, len(bench.attacks)
    queries = None if bench.threat.queries is None else bench.threat.queries // count
    widest = replace(bench, threat=msgspec.structs.replace(bench.threat.radius(bench.radii[-1]), queries=queries))
    nearest = _Nearest(x, torch.full((len(x),), math.inf))
    stage = torch.zeros(len(x), dtype=torch.long).index_fill(0, right, -1)
    every: list[Assault] = []
    for index, (attack, rng) in enumerate(zip(bench.attacks, streams(bench.seed, count, part), strict=True)):
        rows = right[nearest.distance[right] > _reach(bench.radii[0])]
        done = assault(bench.target, (_to_the_end(attack),), x[rows], y[rows], widest.threat, (rng,))
        nearest = _closer(widest, x, y, nearest, rows, done)
        for radius in reversed(bench.radii):
            nearest = _pulled(bench, x, y, stage != 0, nearest, radius)
        stage[(stage < 0) & (nearest.distance <= _reach(own))] = index + 1
        every.append(done)
    wrong = stage == 0
    curve = tuple(tuple((~wrong & (nearest.distance > _reach(radius))).tolist()) for radius in bench.radii)
    return _Hunted(stage, nearest.x, nearest, curve, _summed(every, stage, nearest.x))


def _to_the_end(attack: EvasionAttack) -> EvasionAttack:
    """Let an attack search on where an error inside the ball would end it."""
    driving = getattr(attack, "driving", None)
    if not isinstance(driving, Driving):
        return attack
    on: EvasionAttack = replace(cast(Any, attack), driving=replace(driving, early_stop=False))
    return on


def _closer(
    bench: Bench, x: torch.Tensor, y: torch.Tensor, known: _Nearest, rows: torch.Tensor, done: Assault
) -> _Nearest:
    """Keep the nearer error of each sample: the known one, or what was done to `rows` (m,) found."""
    found = _nearer(bench, x[rows], y[rows], done.x, (done.stage > 0).nonzero().squeeze(1))
    better = found.distance < known.distance[rows]
    kept = rows[better]
    return _Nearest(
        known.x.index_copy(0, kept, found.x[better]), known.distance.index_copy(0, kept, found.distance[better])
    )


def _summed(every: list[Assault], stage: torch.Tensor, x: torch.Tensor) -> Assault:
    """Put assaults of one attack each together."""
    attacked, queries, gradients, claimed = (
        tuple(getattr(done, name)[0] for done in every) for name in ("attacked", "queries", "gradients", "claimed")
    )
    faults = tuple(fault for done in every for fault in done.faults)
    strays = sum(done.strays for done in every)
    return Assault(stage, x, attacked, queries, gradients, strays, faults, claimed)


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
    nearest = _pulled(bench, x, y, candidates, nearest, radius)
    point, distance = nearest.x.clone(), nearest.distance.clone()
    rows = (candidates & (distance > _reach(radius))).nonzero().squeeze(1)
    if len(rows):
        threat, place = bench.threat.radius(radius), streams(bench.seed, len(bench.attacks), part, f"{radius!r}")
        done: Assault = assault(bench.target, bench.attacks, x[rows], y[rows], threat, place)
        hit = done.stage > 0
        far = allowed(threat, x[rows], bench.target.spec.bounds).distance(done.x)
        point[rows[hit]] = done.x[hit]
        distance[rows[hit]] = far[hit].to(distance)
    return _Nearest(point, distance)


def _pulled(
    bench: Bench, x: torch.Tensor, y: torch.Tensor, candidates: torch.Tensor, nearest: _Nearest, radius: float
) -> _Nearest:
    """Put the errors known of the candidates (n,) bool into the ball of `radius`; those that still err are nearer."""
    known = candidates & nearest.distance.isfinite() & (nearest.distance > _reach(radius))
    rows = known.nonzero().squeeze(1)
    if not len(rows):
        return nearest
    where = allowed(bench.threat.radius(radius), x[rows], bench.target.spec.bounds)
    pulled = where.project(nearest.x[rows])
    wrong = errs(answers(bench.target, pulled), y[rows], bench.threat)
    kept = rows[wrong]
    distance = where.distance(pulled)[wrong].to(nearest.distance)
    return _Nearest(nearest.x.index_copy(0, kept, pulled[wrong]), nearest.distance.index_copy(0, kept, distance))


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
