"""Measure poison that spoils a model: what accuracy it costs, and how often others become the attacker's class."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import torch

from hauberk.attacks.poison_case import ALONG, Case
from hauberk.attacks.poison_notes import representative, rows_note, usable
from hauberk.attacks.poison_training import untouched
from hauberk.attacks.recording import decisions
from hauberk.core.evidence import Entry, Measurement
from hauberk.core.protocols import Target
from hauberk.numeric.difference import difference
from hauberk.numeric.intervals import wilson


def examine_availability(case: Case) -> Generator[Entry, None, None]:
    """Yield clean_accuracy_refit as control, then accuracy_lost, clean_accuracy_poisoned and the curve.

    A threat with a target class is also measured by targeted_error: test samples of other classes answered with it.
    """
    sets = yield from usable(case)
    if not sets:
        return
    clean, *victims = case.victims([untouched(*case.train), *(poisoned for _, poisoned in sets)])
    yield from _headlines(case, clean, victims[0], len(sets[0][1].rows))
    yield from _misled(case, clean, victims[0])
    if case.rates:
        models = sorted(
            zip([0.0, *(rate for rate, _ in sets)], [clean, *victims], strict=True), key=lambda pair: pair[0]
        )
        for rate, model in models:
            right = decisions(model, case.test.x) == case.test.y
            yield case.to.where("higher").share("clean_accuracy_poisoned", right, role="curve", along=ALONG, at=rate)


def _headlines(case: Case, clean: Target, victim: Target, rows: int) -> Iterator[Measurement]:
    test, better = case.test, case.to.where("higher")
    before, after = (decisions(model, test.x) == test.y for model in (clean, victim))
    accuracy = better.share("clean_accuracy_refit", before, role="control", note=f"{case.setting} without poison")
    original = float((decisions(case.target, test.x) == test.y).double().mean())
    first, second = (wilson(int(right.sum()), len(right), case.to.level) for right in (before, after))
    yield accuracy
    yield case.to.figure(
        "accuracy_lost",
        difference(first, second),
        len(test.y),
        "mover",
        indicators=(representative(original, accuracy),),
        note=rows_note(case, rows) + "".join(f"; {note}" for note in victim.spec.notes),
    )
    yield better.share("clean_accuracy_poisoned", after, note=f"without poison {accuracy.value:.3f}")


def _misled(case: Case, clean: Target, victim: Target) -> Iterator[Measurement]:
    if case.threat.target_class is None:
        return
    source = int(getattr(case.attack, "source", -1))
    hit: torch.Tensor = case.test.y != case.goal if source < 0 else case.test.y == source
    if not bool(hit.any()):
        return
    what = f"test samples of class {source}" if source >= 0 else "test samples of other classes"
    for model, role in ((clean, "control"), (victim, "headline")):
        misled = decisions(model, case.test.x[hit]) == case.goal
        yield case.to.share(
            "targeted_error",
            misled,
            role="control" if role == "control" else "headline",
            note=f"{what} answered with class {case.goal}" + (", without poison" if role == "control" else ""),
        )
