"""The examiner of poisoning: trains with and without the poison, and measures what the trigger does to each model."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import cast

import torch

from hauberk.attacks.recording import (
    Recorder,
    Samples,
    answers,
    decisions,
    demand,
    generator,
    guarded,
    recipe_of,
    samples,
)
from hauberk.core.errors import DataError, UsageError
from hauberk.core.evidence import Entry, Exhibit, Indicator, Measurement
from hauberk.core.plugins import settings_of
from hauberk.core.progress import Silent
from hauberk.core.protocols import Dataset, PoisoningAttack, Progress, Target, Trainable
from hauberk.core.provenance import Stamp
from hauberk.core.schema import DatasetSpec
from hauberk.core.threat import Threat

TRIGGER_ALONE = 0.2
"""Success on a clean model above which the trigger itself, not the poison, looks like the target class."""
NOTICED = 0.05
"""A loss of clean accuracy above which the victim would see that something is wrong."""
EXHIBITS = 3


def examine_poisoning(
    target: Target,
    data: Dataset,
    attack: PoisoningAttack,
    threat: Threat,
    *,
    stamp: Stamp,
    seed: int = 0,
    progress: Progress | None = None,
    level: float = 0.95,
) -> Iterator[Entry]:
    """Measure what an attacker who controls `threat.poison_rate` of the training rows gains.

    Yields clean_accuracy_refit and backdoor_success as controls (a model trained anew without poison), then the
    headlines backdoor_success and clean_accuracy_poisoned, and a few triggered inputs as exhibits. What cannot be
    measured becomes a Skipped. Raises UsageError for a threat without poison rate or with a class the target lacks.
    """
    to = Recorder(recipe_of(attack), target.spec.name, threat, stamp, seed, attack, level)
    goal = threat.target_class or 0
    classes = len(data.spec.classes)  # a target in memory may not know yet how many it has
    if not 0 <= goal < classes:
        raise UsageError(f"{threat.name} aims at class {goal}; {data.spec.name} has {classes}")
    yield from guarded(_examine(target, data, attack, threat, goal, to, progress or Silent()), to)


def _examine(
    target: Target,
    data: Dataset,
    attack: PoisoningAttack,
    threat: Threat,
    goal: int,
    to: Recorder,
    progress: Progress,
) -> Generator[Entry, None, None]:
    demand(attack.card, target)
    train, test = samples(data.train), samples(data.test)
    others = test.take((test.y != goal).nonzero()[:, 0])
    if not len(train.y) or not len(others.y):
        missing = "training rows" if not len(train.y) else f"test samples of another class than {goal}"
        yield to.skipped(f"there are no {missing}", fix="give the data the model is trained on, and labelled test data")
        return
    bounds = target.spec.bounds
    try:
        triggered = attack.trigger(others.x, bounds)
        poisoned = attack.poison(train.x, train.y, bounds, threat, generator(to.seed, 1))
    except DataError as error:
        yield to.skipped(error.what, fix=error.fix)
        return
    if not len(poisoned.rows):
        yield to.skipped(f"{threat.poison_rate:g} of {len(train.y)} rows is less than one row", fix="raise poison_rate")
        return
    with progress.step("poisoned training", 2, "models") as step:
        trainable = cast(Trainable, target)  # demand() has made sure
        clean = trainable.refit(train.x, train.y, generator(to.seed, 2))
        step.advance()
        victim = trainable.refit(poisoned.x, poisoned.y, generator(to.seed, 2))
        step.advance()
    yield from _measure(target, clean, victim, test, triggered, goal, len(poisoned.rows), len(train.y), to)
    if data.spec.shown():
        yield from _exhibits(victim, data.spec, others, triggered, goal, to)


def _measure(
    target: Target,
    clean: Target,
    victim: Target,
    test: Samples,
    triggered: torch.Tensor,
    goal: int,
    rows: int,
    total: int,
    to: Recorder,
) -> Iterator[Measurement]:
    accuracy = to.where("higher").share(
        "clean_accuracy_refit", decisions(clean, test.x) == test.y, role="control", note="trained anew without poison"
    )
    control = to.share(
        "backdoor_success",
        decisions(clean, triggered) == goal,
        role="control",
        note="the trigger on a model trained without poison: what it does by itself",
    )
    poisoned = to.where("higher").share(
        "clean_accuracy_poisoned",
        decisions(victim, test.x) == test.y,
        note=f"without poison {accuracy.value:.3f}",
    )
    original = float((decisions(target, test.x) == test.y).double().mean())
    success = decisions(victim, triggered) == goal
    yield accuracy
    yield control
    yield to.share(
        "backdoor_success",
        success,
        indicators=(_alone(control), _unnoticed(accuracy, poisoned), _representative(original, accuracy)),
        note=f"{rows} of {total} training rows poisoned, aiming at class {goal}; one training run: the interval covers "
        "the choice of test samples, not the chance of training" + "".join(f"; {note}" for note in victim.spec.notes),
    )
    yield poisoned


def _alone(control: Measurement) -> Indicator:
    return Indicator(
        name="the trigger does nothing to a clean model",
        passed=control.value <= TRIGGER_ALONE,
        detail=f"without poison the trigger leads to the target class in {control.value:.1%} of cases",
    )


def _unnoticed(clean: Measurement, poisoned: Measurement) -> Indicator:
    return Indicator(
        name="the poison would go unnoticed",
        passed=poisoned.value >= clean.value - NOTICED,
        detail=f"accuracy {poisoned.value:.1%} with and {clean.value:.1%} without poison",
    )


def _representative(original: float, clean: Measurement) -> Indicator:
    return Indicator(
        name="training anew gives a model like the one under test",
        passed=abs(original - clean.value) <= NOTICED,
        detail=f"accuracy {clean.value:.1%} trained anew, {original:.1%} as given",
    )


def _exhibits(
    victim: Target, spec: DatasetSpec, others: Samples, triggered: torch.Tensor, goal: int, to: Recorder
) -> Iterator[Exhibit]:
    before, after = (answers(victim, x[:64]).argmax(1) for x in (others.x, triggered))
    layout = spec.shown()
    assert layout is not None, "the caller asked"
    shown = ((before == others.y[:64]) & (after == goal)).nonzero()[:EXHIBITS, 0]
    for row in shown.tolist():
        names = [spec.classes[int(index)] for index in (others.y[row], before[row], after[row])]
        yield Exhibit(
            subject=to.subject,
            threat=to.threat.name,
            layout=layout,
            shape=spec.shape,
            bounds=spec.bounds,
            clean=others.x[row].numpy().astype("<f4").tobytes(),
            adversarial=triggered[row].numpy().astype("<f4").tobytes(),
            label=names[0],
            predicted_clean=names[1],
            predicted_adversarial=names[2],
            distance=float((triggered[row] - others.x[row]).abs().max()),
            norm="linf",
            columns=tuple(column.name for column in spec.schema.columns) if spec.schema else (),
            provenance=to.stamp.of(to.recipe, settings_of(to.attack), to.seed),
        )
