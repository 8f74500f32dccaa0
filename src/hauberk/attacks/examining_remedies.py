"""The examiner of remedies against poison: plant a backdoor, let detectors and repairs at it, and attack again."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple, cast

import torch

from hauberk.attacks.recording import Recorder, Samples, decisions, demand, generator, guarded, samples
from hauberk.core.errors import MeasurementError
from hauberk.core.evidence import Entry, Indicator
from hauberk.core.poisoning import PoisonDetector, Poisoning, PoisoningAttack, Triggering
from hauberk.core.progress import Silent
from hauberk.core.protocols import Dataset, Defense, EvasionAttack, Progress, Split, Target, Trainable
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat

CLEAN_ROWS = 200
"""Clean rows a repair is given at most, and a fifth of the test split at most: who repairs a model seldom has more."""
ENOUGH = 0.5
"""Success of the planted backdoor below which there is nothing to remedy."""


class Remedy(NamedTuple):
    """Something against poison by its name in the catalogue: a detector of rows, or a repair of the model."""

    name: str
    made: PoisonDetector | Defense


class _Planted(NamedTuple):
    """A poisoned training set x, y with the rows that were planted, the model trained on it, and who examines it.

    held: test rows nobody trains with. triggered: those of other classes than the goal, with the trigger on.
    """

    x: torch.Tensor
    y: torch.Tensor
    rows: torch.Tensor
    victim: Target
    clean: Samples
    held: Samples
    triggered: torch.Tensor
    goal: int


def examine_remedies(
    target: Target,
    data: Dataset,
    attack: Poisoning,
    remedies: Sequence[Remedy],
    threat: Threat,
    *,
    walk: EvasionAttack,
    stamp: Stamp,
    seed: int = 0,
    progress: Progress | None = None,
    level: float = 0.95,
) -> Iterator[Entry]:
    """Plant `attack` in the training rows once, and measure each remedy against it.

    Of a detector: poison_caught and poison_precision of the rows it flags; of both kinds, after the flagged rows are
    left out and the model is trained anew, or the model is repaired with at most 200 clean rows: the headlines
    backdoor_success_remedied and clean_accuracy_remedied. walk: what a repair that trains against attacks is given.
    What cannot be measured becomes a Skipped, and the other remedies go on.
    """
    whole = Recorder("remedies", target.spec.name, threat, stamp, seed, None, level)
    planted = yield from guarded(_plant(target, data, attack, threat, seed), whole)
    if planted is None:
        return
    success = float((decisions(planted.victim, planted.triggered) == planted.goal).double().mean())
    if success < ENOUGH:
        yield whole.skipped(f"the backdoor works in {success:.0%} of cases only: there is nothing to remedy")
        return
    with (progress or Silent()).step("remedies", len(remedies), "remedies") as step:
        for remedy in remedies:
            to = Recorder(f"defenses.{remedy.name}", target.spec.name, threat, stamp, seed, remedy.made, level)
            yield from guarded(_remedied(target, planted, remedy, success, walk, to), to)
            step.advance()


def _plant(
    target: Target, data: Dataset, attack: Poisoning, threat: Threat, seed: int
) -> Generator[Entry, None, _Planted]:
    demand(attack.card, target)
    if not isinstance(attack, PoisoningAttack):
        raise MeasurementError(
            "this attack crafts its rows on a model of its own: no remedy is measured against it yet"
        )
    train, test = samples(data.train), samples(data.test)
    goal = threat.target_class or 0
    order = torch.randperm(len(test.y), generator=generator(seed, 11))
    few = min(CLEAN_ROWS, len(order) // 5)
    clean, held = test.take(order[:few]), test.take(order[few:])
    others = held.take((held.y != goal).nonzero()[:, 0])
    poisoned = attack.poison(train.x, train.y, target.spec.bounds, threat, generator(seed, 1))
    if not len(poisoned.rows) or not len(others.y):
        raise MeasurementError("no row was planted, or there is no test row of another class", fix="raise poison_rate")
    victim = cast(Trainable, target).refit(poisoned.x, poisoned.y, generator(seed, 2))
    if not isinstance(attack, Triggering):
        raise MeasurementError("this poison has no trigger: remedies are measured against backdoors")
    triggered = attack.trigger(others.x, target.spec.bounds)
    yield from ()
    return _Planted(poisoned.x, poisoned.y, poisoned.rows, victim, clean, held, triggered, goal)


def _remedied(
    target: Target, planted: _Planted, remedy: Remedy, success: float, walk: EvasionAttack, to: Recorder
) -> Generator[Entry, None, None]:
    if isinstance(remedy.made, PoisonDetector):
        found = remedy.made.suspect(planted.x, planted.y, planted.victim, generator(to.seed, 3))
        yield from _caught(found.flagged, planted, found.note, to)
        if not bool(found.flagged.any()):
            yield to.skipped(
                f"no row was flagged, so nothing is left out: {found.note}", part="backdoor_success_remedied"
            )
            return
        kept = ~found.flagged
        model = cast(Trainable, target).refit(planted.x[kept], planted.y[kept], generator(to.seed, 4))
        how = f"{int(found.flagged.sum())} flagged rows left out, trained anew"
    else:
        few = Split(planted.clean.x.numpy(), planted.clean.y.numpy())
        model = remedy.made.apply(planted.victim, few, to.threat, generator(to.seed, 5), attack=walk, progress=Silent())
        how = f"repaired with {len(planted.clean.y)} clean rows"
    yield from _after(model, planted, success, how, to)


def _caught(flagged: torch.Tensor, planted: _Planted, note: str, to: Recorder) -> Iterator[Entry]:
    mine = torch.zeros_like(flagged).index_fill(0, planted.rows, True)
    upward = to.where("higher")
    yield upward.share("poison_caught", flagged[mine], note=note)
    if bool(flagged.any()):
        yield upward.share("poison_precision", mine[flagged], note="of the rows it flags, those that were planted")


def _after(model: Target, planted: _Planted, success: float, how: str, to: Recorder) -> Iterator[Entry]:
    before = float((decisions(planted.victim, planted.held.x) == planted.held.y).double().mean())
    again = decisions(model, planted.triggered) == planted.goal
    kept = to.where("higher").share(
        "clean_accuracy_remedied",
        decisions(model, planted.held.x) == planted.held.y,
        note=f"before {before:.3f}; {how}",
    )
    gone = Indicator(
        name="the remedy costs little",
        passed=kept.value >= before - 0.05,
        detail=f"accuracy {kept.value:.1%} after and {before:.1%} before",
    )
    yield to.share(
        "backdoor_success_remedied",
        again,
        indicators=(gone,),
        note=f"before {success:.3f}; {how}; the trigger as planted; the attacker knows no remedy",
    )
    yield kept
