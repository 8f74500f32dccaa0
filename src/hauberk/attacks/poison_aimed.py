"""Measure poison that aims at chosen inputs: one training set and one victim for each, and how many are misread."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import torch

from hauberk.attacks.poison_case import ALONG, CHOICE, Case
from hauberk.attacks.poison_notes import empty, representative, rows_note, unnoticed
from hauberk.attacks.poison_rows import allowed
from hauberk.attacks.poison_training import untouched
from hauberk.attacks.recording import Samples, decisions, generator
from hauberk.core.evidence import Entry, Measurement
from hauberk.core.poisoning import Poisoned
from hauberk.core.protocols import Target
from hauberk.numeric.intervals import clopper_pearson


def examine_aimed(case: Case, inputs: int) -> Generator[Entry, None, None]:
    """Yield targeted_success and clean_accuracy_poisoned over `inputs` chosen test inputs, with controls and curve."""
    chosen = _chosen(case, inputs)
    if not len(chosen.y):
        yield case.to.skipped(
            f"there is no test sample of another class than {case.goal} that the model decides rightly",
            fix="give labelled test data of two classes",
        )
        return
    surrogate = case.surrogate() if allowed(case.threat, len(case.train.y)) else case.target
    sets: list[Poisoned] = []
    rates: list[float] = []
    for threat in case.threats():
        rate = threat.poison_rate or 0.0
        if not allowed(threat, len(case.train.y)):
            yield empty(case, rate)
            if not sets:
                return
            continue
        rates.append(rate)
        with case.progress.step(f"poison at {rate:g}", len(chosen.y), "inputs") as step:
            for row in range(len(chosen.y)):
                sets.append(case.plant(surrogate, threat, chosen.x[row : row + 1]))
                step.advance()
    clean, *victims = case.victims([untouched(*case.train), *sets])
    by_rate = [victims[start : start + len(chosen.y)] for start in range(0, len(victims), len(chosen.y))]
    yield from _headlines(case, clean, by_rate[0], chosen, len(sets[0].rows))
    if case.rates:
        points = [(0.0, [clean] * len(chosen.y)), *zip(rates, by_rate, strict=True)]
        for rate, models in sorted(points, key=lambda point: point[0]):
            hits = _hits(models, chosen, case.goal)
            yield case.to.share("targeted_success", hits, role="curve", along=ALONG, at=rate)


def _chosen(case: Case, inputs: int) -> Samples:
    """Draw test inputs of other classes that the model under test decides rightly."""
    test = case.test
    fit = ((test.y != case.goal) & (decisions(case.target, test.x) == test.y)).nonzero()[:, 0]
    return test.take(fit[torch.randperm(len(fit), generator=generator(case.to.seed, CHOICE))[:inputs]])


def _hits(models: list[Target], chosen: Samples, goal: int) -> torch.Tensor:
    """Tell which chosen inputs their victims decide as the goal: (k,) bool."""
    found = [decisions(model, chosen.x[row : row + 1]) == goal for row, model in enumerate(models)]
    return torch.cat(found)


def _headlines(case: Case, clean: Target, victims: list[Target], chosen: Samples, rows: int) -> Iterator[Measurement]:
    to, test = case.to, case.test
    accuracy = to.where("higher").share(
        "clean_accuracy_refit",
        decisions(clean, test.x) == test.y,
        role="control",
        note=f"{case.setting} without poison",
    )
    shares = [float((decisions(victim, test.x) == test.y).double().mean()) for victim in victims]
    mean = sum(shares) / len(shares)
    poisoned = to.where("higher").figure(
        "clean_accuracy_poisoned",
        clopper_pearson(round(mean * len(test.y)), len(test.y), to.level),
        len(test.y),
        "clopper-pearson",
        note=f"the mean over {len(victims)} victims, the worst {min(shares):.3f}; without poison {accuracy.value:.3f}",
    )
    original = float((decisions(case.target, test.x) == test.y).double().mean())
    yield accuracy
    yield to.share(
        "targeted_success",
        _hits([clean] * len(victims), chosen, case.goal),
        role="control",
        note="the chosen inputs on a model trained without poison",
    )
    yield to.share(
        "targeted_success",
        _hits(victims, chosen, case.goal),
        indicators=(unnoticed(accuracy, poisoned), representative(original, accuracy)),
        note=f"{len(victims)} chosen test inputs, each with poison and a victim of its own: " + rows_note(case, rows),
    )
    yield poisoned
