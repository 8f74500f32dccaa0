"""The examiner of poisoning: trains with and without the poison, and measures what it does to each model."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from hauberk.attacks.poison_aimed import examine_aimed
from hauberk.attacks.poison_availability import examine_availability
from hauberk.attacks.poison_backdoor import examine_backdoor
from hauberk.attacks.poison_case import Case
from hauberk.attacks.poison_rows import allowed, goal_of
from hauberk.attacks.recording import Recorder, demand, guarded, recipe_of, samples
from hauberk.core.errors import DataError, UsageError
from hauberk.core.evidence import Entry
from hauberk.core.poisoning import AimingAttack, Poisoning, Triggering
from hauberk.core.progress import Silent
from hauberk.core.protocols import Dataset, Progress, Target
from hauberk.core.provenance import Stamp
from hauberk.core.threat import Threat

CHOSEN = 8
"""Test inputs that an aiming attack is tried on: a victim is trained for each."""


def examine_poisoning(
    target: Target,
    data: Dataset,
    attack: Poisoning,
    threat: Threat,
    *,
    stamp: Stamp,
    seed: int = 0,
    progress: Progress | None = None,
    level: float = 0.95,
    rates: tuple[float, ...] = (),
    inputs: int = CHOSEN,
) -> Iterator[Entry]:
    """Measure what an attacker who controls `threat.poison_rate` of the training rows gains.

    A backdoor yields clean_accuracy_refit and backdoor_success as controls (a model trained anew without poison), the
    headlines backdoor_success and clean_accuracy_poisoned, and a few triggered inputs as exhibits. An attack that aims
    at chosen inputs is tried on `inputs` of them and yields targeted_success instead; one that does neither yields
    accuracy_lost. rates: more poison rates, each a point of a curve along "poison rate", with 0 and the threat's own.

    What cannot be measured becomes a Skipped. Raises UsageError for a threat or a curve without poison rate in 0–1,
    fewer than one chosen input, or a class the target lacks.
    """
    to = Recorder(recipe_of(attack), target.spec.name, threat, stamp, seed, attack, level)
    goal, classes = goal_of(threat), len(data.spec.classes)  # a target in memory may not know yet how many it has
    if not 0 <= goal < classes:
        raise UsageError(f"{threat.name} aims at class {goal}; {data.spec.name} has {classes}")
    allowed(threat, 0)
    if any(not 0 <= rate <= 1 for rate in rates):
        raise UsageError(f"the curve of {threat.name} has a poison rate outside 0–1", fix="give rates such as 0.01")
    if inputs < 1:
        raise UsageError(f"{inputs} chosen inputs; there must be one at least", fix="ask for more")
    case = Case(
        target,
        data.spec,
        samples(data.train),
        samples(data.test),
        attack,
        threat,
        rates,
        goal,
        to,
        progress or Silent(),
    )
    yield from guarded(_examine(case, inputs), to)


def _examine(case: Case, inputs: int) -> Generator[Entry, None, None]:
    card, to = case.attack.card, case.to
    demand(card, case.target)
    lacking = _lacking(case)
    if lacking:
        yield to.skipped(lacking, fix="give the data the model is trained on, and labelled test data")
        return
    if case.spec.layout not in card.inputs:
        yield to.skipped(f"{card.title} works on {', '.join(card.inputs)}, not on {case.spec.layout}")
        return
    ball = case.threat.ball
    if ball is not None and ball.norm not in card.norms:
        fix = "leave the ball out of this threat" if not card.norms else f"give a ball in {', '.join(card.norms)}"
        yield to.skipped(f"{card.title} does not keep changed rows in a ball of {ball.norm}", fix=fix)
        return
    try:
        if isinstance(case.attack, AimingAttack):
            yield from examine_aimed(case, inputs)
        elif isinstance(case.attack, Triggering):
            yield from examine_backdoor(case)
        else:
            yield from examine_availability(case)
    except DataError as error:
        yield to.skipped(error.what, fix=error.fix)


def _lacking(case: Case) -> str:
    if not len(case.train.y):
        return "there are no training rows"
    if bool((case.train.y == case.train.y[0]).all()):
        return f"all training rows are of class {int(case.train.y[0])}"
    return "" if len(case.test.y) else "there are no test samples"
