"""Measure backdoors: what the trigger does to models trained with the poison, and to one trained without."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import cast

import torch

from hauberk.attacks.poison_case import ALONG, Case
from hauberk.attacks.poison_notes import alone, representative, rows_note, unnoticed, usable
from hauberk.attacks.poison_training import untouched
from hauberk.attacks.recording import Samples, answers, decisions
from hauberk.core.evidence import Entry, Exhibit, Measurement
from hauberk.core.plugins import settings_of
from hauberk.core.poisoning import Triggering
from hauberk.core.protocols import Target

EXHIBITS = 3


def examine_backdoor(case: Case) -> Generator[Entry, None, None]:
    """Yield controls, headlines, the curve over poison rates and exhibits; a Skipped where nothing can be."""
    others = case.test.take((case.test.y != case.goal).nonzero()[:, 0])
    if not len(others.y):
        yield case.to.skipped(
            f"there are no test samples of another class than {case.goal}", fix="give labelled test data of two classes"
        )
        return
    triggered = cast(Triggering, case.attack).trigger(others.x, case.target.spec.bounds)
    sets = yield from usable(case)
    if not sets:
        return
    clean, *victims = case.victims([untouched(*case.train), *(poisoned for _, poisoned in sets)])
    yield from _headlines(case, clean, victims[0], triggered, len(sets[0][1].rows))
    yield from _curve(case, [0.0, *(rate for rate, _ in sets)], [clean, *victims], triggered)
    if case.spec.shown():
        yield from _exhibits(case, victims[0], others, triggered)


def _headlines(case: Case, clean: Target, victim: Target, triggered: torch.Tensor, rows: int) -> Iterator[Measurement]:
    to, test = case.to, case.test
    accuracy = to.where("higher").share(
        "clean_accuracy_refit",
        decisions(clean, test.x) == test.y,
        role="control",
        note=f"{case.setting} without poison",
    )
    control = to.share(
        "backdoor_success",
        decisions(clean, triggered) == case.goal,
        role="control",
        note="the trigger on a model trained without poison: what it does by itself",
    )
    poisoned = to.where("higher").share(
        "clean_accuracy_poisoned",
        decisions(victim, test.x) == test.y,
        note=f"without poison {accuracy.value:.3f}",
    )
    original = float((decisions(case.target, test.x) == test.y).double().mean())
    success = decisions(victim, triggered) == case.goal
    yield accuracy
    yield control
    yield to.share(
        "backdoor_success",
        success,
        indicators=(alone(control), unnoticed(accuracy, poisoned), representative(original, accuracy)),
        note=rows_note(case, rows) + "".join(f"; {note}" for note in victim.spec.notes),
    )
    yield poisoned


def _curve(case: Case, rates: list[float], models: list[Target], triggered: torch.Tensor) -> Iterator[Measurement]:
    if not case.rates:
        return
    for rate, model in sorted(zip(rates, models, strict=True), key=lambda pair: pair[0]):
        hits = decisions(model, triggered) == case.goal
        yield case.to.share("backdoor_success", hits, role="curve", along=ALONG, at=rate)
    for rate, model in sorted(zip(rates, models, strict=True), key=lambda pair: pair[0]):
        right = decisions(model, case.test.x) == case.test.y
        yield case.to.where("higher").share("clean_accuracy_poisoned", right, role="curve", along=ALONG, at=rate)


def _exhibits(case: Case, victim: Target, others: Samples, triggered: torch.Tensor) -> Iterator[Exhibit]:
    before, after = (answers(victim, x[:64]).argmax(1) for x in (others.x, triggered))
    spec, layout = case.spec, case.spec.shown()
    assert layout is not None, "the caller asked"
    shown = ((before == others.y[:64]) & (after == case.goal)).nonzero()[:EXHIBITS, 0]
    for row in shown.tolist():
        names = [spec.classes[int(index)] for index in (others.y[row], before[row], after[row])]
        yield Exhibit(
            subject=case.to.subject,
            threat=case.to.threat.name,
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
            provenance=case.to.stamp.of(case.to.recipe, settings_of(case.to.attack), case.to.seed),
        )
