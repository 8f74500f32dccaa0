"""What the measures of poison share: sets that hold any poison, indicators, and what is said of a figure."""

from __future__ import annotations

from collections.abc import Generator

from hauberk.attacks.poison_case import ALONG, Case
from hauberk.attacks.poison_rows import allowed
from hauberk.core.evidence import Entry, Indicator, Measurement
from hauberk.core.poisoning import Poisoned

TRIGGER_ALONE = 0.2
"""Success on a clean model above which the trigger itself, not the poison, looks like the target class."""
NOTICED = 0.05
"""A loss of clean accuracy above which the victim would see that something is wrong."""


def usable(case: Case) -> Generator[Entry, None, list[tuple[float, Poisoned]]]:
    """Poison at the threat's rate, then at the curve's; what is less than a row becomes a Skipped.

    Returns (rate, set) in that order; nothing where the threat's own rate gives no poison.
    """
    surrogate = case.surrogate() if allowed(case.threat, len(case.train.y)) else case.target
    found: list[tuple[float, Poisoned]] = []
    for threat in case.threats():
        rate = threat.poison_rate or 0.0
        if not allowed(threat, len(case.train.y)):
            yield empty(case, rate)
            if not found:
                return []
            continue
        found.append((rate, case.plant(surrogate, threat)))
    return found


def empty(case: Case, rate: float) -> Entry:
    """Say that a poison rate gives no row."""
    part = "" if rate == case.threat.poison_rate else f"{ALONG} {rate:g}"
    reason = f"{rate:g} of {len(case.train.y)} rows is less than one row"
    return case.to.skipped(reason, fix="raise poison_rate" if not part else "raise the curve's rates", part=part)


def rows_note(case: Case, rows: int) -> str:
    """Say how many rows were poisoned, what for, and what the interval does not cover."""
    total, most = len(case.train.y), allowed(case.threat, len(case.train.y))
    fewer = f" ({most} were allowed, there are no more to poison)" if rows < most else ""
    aim = (
        ""
        if case.threat.target_class is None and not hasattr(case.attack, "trigger")
        else f", aiming at class {case.goal}"
    )
    return (
        f"{rows} of {total} training rows poisoned{fewer}{aim}; victim {case.setting}; one training run: the interval "
        "covers the choice of test samples, not the chance of training"
    )


def alone(control: Measurement) -> Indicator:
    """Hold that the trigger does nothing by itself."""
    return Indicator(
        name="the trigger does nothing to a clean model",
        passed=control.value <= TRIGGER_ALONE,
        detail=f"without poison the trigger leads to the target class in {control.value:.1%} of cases",
    )


def unnoticed(clean: Measurement, poisoned: Measurement) -> Indicator:
    """Hold that the victim sees no loss of accuracy."""
    return Indicator(
        name="the poison would go unnoticed",
        passed=poisoned.value >= clean.value - NOTICED,
        detail=f"accuracy {poisoned.value:.1%} with and {clean.value:.1%} without poison",
    )


def representative(original: float, clean: Measurement) -> Indicator:
    """Hold that the models trained here tell of the one under test."""
    return Indicator(
        name="training anew gives a model like the one under test",
        passed=abs(original - clean.value) <= NOTICED,
        detail=f"accuracy {clean.value:.1%} trained anew, {original:.1%} as given",
    )
