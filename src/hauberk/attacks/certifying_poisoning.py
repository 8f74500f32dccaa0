"""The verified side of poisoning: decisions of partitioned training that so many changed rows provably cannot turn."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from hauberk.attacks.partitioned_training import Partitions
from hauberk.attacks.poison_rows import allowed, goal_of
from hauberk.attacks.recording import Recorder, Samples, decisions, generator, guarded, recipe_of, samples
from hauberk.core.errors import DataError, MissingPower, UsageError
from hauberk.core.evidence import Entry, Indicator
from hauberk.core.poisoning import Poisoning, PoisoningAttack, Triggering
from hauberk.core.progress import Silent
from hauberk.core.protocols import Dataset, Progress, Target, powers
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat
from hauberk.numeric.partitions import elected, proven

Tensor = torch.Tensor

ALONG = "rows put in, taken out or relabelled"
_POISON = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """What the certificate depends on besides the target."""

    parts: int
    degree: int


class _Bench(NamedTuple):
    """What clean partitioned training gives: learners' votes (n, m) on the test rows, who wins, how far it is proven.

    held: changed units (a changed row is two) under which each decision (n,) provably stays.
    """

    cut: Partitions
    train: Samples
    test: Samples
    threat: Threat
    classes: int
    elected: Tensor
    held: Tensor
    progress: Progress


def examine_partitions(
    target: Target,
    data: Dataset,
    attacks: Sequence[Poisoning],
    threat: Threat,
    *,
    parts: int,
    degree: int = 1,
    stamp: Stamp,
    seed: int = 0,
    progress: Progress | None = None,
    level: float = 0.95,
) -> Iterator[Entry]:
    """Measure what the target's training would withstand were it cut into `parts` shares whose models vote.

    Yields the headlines poison_proven_accuracy, the share of test rows decided rightly whatever the threat's share of
    rows is changed into, and partitioned_accuracy, what the vote is right about without poison (the price shows beside
    the control clean_accuracy); a curve of the former along the number of rows put in, taken out or relabelled; and
    for each attack that changes given rows, its success and the accuracy when the same cut is trained on its rows, with
    a self-check that no decision proven to stay has moved. degree 1 is deep partition aggregation (Levine and Feizi
    2021, arXiv:2006.14768), more is finite aggregation (Wang et al. 2022, arXiv:2202.02628).

    The proof is of the vote, not of the single model under test; it takes training to be a function of a learner's rows
    and number alone. Raises UsageError for fewer than two parts, a degree below one, or a threat without poison rate.
    """
    if parts < 2 or degree < 1:
        raise UsageError(f"{parts} partitions, spread {degree}", fix="give two partitions or more, and a spread from 1")
    to = Recorder("attacks.certifying_poisoning", target.spec.name, threat, stamp, seed, Settings(parts, degree), level)
    units = 2 * allowed(threat, len(data.train.y))
    bench = yield from guarded(_bench(target, data, threat, Partitions(target, parts, degree, seed), to, progress), to)
    if bench is None:
        return
    yield from _certificate(bench, units, to, target)
    for attack in attacks:
        yield from guarded(_attacked(bench, attack, units, to), to)


def _bench(
    target: Target, data: Dataset, threat: Threat, cut: Partitions, to: Recorder, progress: Progress | None
) -> Generator[Entry, None, _Bench | None]:
    if "refit" not in powers(target):
        raise MissingPower(
            f"{target.spec.name} cannot be trained anew", fix="reach the model in a way that gives refit"
        )
    train, test = samples(data.train), samples(data.test)
    if len(train.y) < 2 * cut.parts or not len(test.y):
        reason = f"{len(train.y)} training rows in {cut.parts} partitions, {len(test.y)} test rows"
        yield to.skipped(reason, fix="take fewer partitions: each needs some rows of every class")
        return None
    classes, quiet = max(target.spec.classes, len(data.spec.classes)), progress or Silent()
    votes = cut.votes(train, {"test": test.x}, quiet)["test"]
    held = proven(votes, cut.spread, classes)
    return _Bench(cut, train, test, threat, classes, elected(votes, classes), held, quiet)


def _certificate(bench: _Bench, units: int, to: Recorder, target: Target) -> Iterator[Entry]:
    right, up = bench.elected == bench.test.y, to.where("higher")
    cut, rows = bench.cut, len(bench.train.y)
    yield up.share("clean_accuracy", decisions(target, bench.test.x) == bench.test.y, role="control")
    how = f"{cut.parts} partitions of about {rows // cut.parts} rows, each row seen by {cut.degree} of "
    how += f"{cut.parts * cut.degree} learners"
    yield up.share("partitioned_accuracy", right, note=f"the vote of {how}; no poison")
    most = cut.parts // 2
    beyond = f"; a vote of these withstands at most {most}" if units > most else ""
    yield up.share(
        "poison_proven_accuracy",
        right & (bench.held >= units),
        note=f"a lower bound: proven whatever {units // 2} of {rows} rows are changed into; {how}. A changed row is "
        f"one taken out and one put in: {units} steps{beyond}. It holds for this vote, not for the single model",
    )
    for at in _points(bench.held):
        yield up.share("poison_proven_accuracy", right & (bench.held >= at), role="curve", along=ALONG, at=float(at))


def _points(held: Tensor) -> list[int]:
    """Say where the curve is drawn: 0, 1, 2, 4, … and the first number that turns every decision."""
    last = int(held.max()) + 1
    return [0, *(2**power for power in range(last.bit_length()) if 2**power < last), last]


def _attacked(bench: _Bench, attack: Poisoning, units: int, to: Recorder) -> Generator[Entry, None, None]:
    name = recipe_of(attack)
    if not isinstance(attack, PoisoningAttack):
        yield to.skipped("it works out its rows on a model of its own: not tried on a vote", part=name)
        return
    bounds, goal = bench.cut.target.spec.bounds, goal_of(bench.threat)
    try:
        found = attack.poison(*bench.train, bounds, bench.threat, generator(to.seed, _POISON))
    except DataError as error:
        yield to.skipped(error.what, fix=error.fix, part=name)
        return
    inputs = {"test": bench.test.x}
    others = bench.test.take((bench.test.y != goal).nonzero()[:, 0])
    if isinstance(attack, Triggering) and len(others.y):
        inputs["triggered"] = attack.trigger(others.x, bounds)
    votes = bench.cut.votes(Samples(found.x, found.y), inputs, bench.progress)
    after, sure = elected(votes["test"], bench.classes), bench.held >= units
    moved = int(((after != bench.elected) & sure).sum())
    kept = Indicator(
        name="no decision proven to stay has moved",
        passed=moved == 0,
        detail=f"{moved} of {int(sure.sum())} proven decisions moved under {name}; "
        f"{int((after != bench.elected).sum())} of {len(after)} in all",
    )
    note = f"the same vote trained with {len(found.rows)} rows poisoned by {name}"
    # Where nothing is proven the check would pass whatever happened.
    checks = (kept,) if bool(sure.any()) else ()
    right = after == bench.test.y
    yield to.where("higher").share("partitioned_accuracy_poisoned", right, indicators=checks, note=note)
    if "triggered" in votes:
        yield to.share("partitioned_backdoor_success", elected(votes["triggered"], bench.classes) == goal, note=note)
