"""What a training run's log says, as evidence: the held-out accuracy that chose the state, time, what went wrong."""

from __future__ import annotations

from collections.abc import Iterator

from hauberk.core.evidence import Entry, Measurement, Provenance, Skipped
from hauberk.core.threat import Threat
from hauberk.defenses.training_log import Ending, Log
from hauberk.numeric.intervals import clopper_pearson

_LEVEL = 0.95
_ENDINGS: dict[Ending, str] = {
    "epochs": "all epochs were done",
    "budget": "the budget was used up",
    "patience": "held-out robust accuracy no longer rose",
    "interrupted": "it was interrupted",
}


def of_log(log: Log, name: str, subject: str, threat: Threat, provenance: Provenance) -> Iterator[Entry]:
    """Yield what a reader of the report must know of the training.

    name: of the hardened target. subject: defense and threat, for what is Skipped.
    """
    if log.history:
        point = log.history[log.best]
        share = clopper_pearson(round(point.robust * log.held_out), log.held_out, _LEVEL)
        yield Measurement(
            name="held_out_robust_accuracy",
            subject=name,
            value=share.value,
            low=share.low,
            high=share.high,
            level=_LEVEL,
            method="clopper-pearson",
            n=log.held_out,
            unit="share",
            better="higher",
            provenance=provenance,
            role="diagnostic",
            threat=threat.name,
            note=f"chose the state of epoch {point.epoch:g}, so it flatters; {_course(log)}",
        )
    if log.budget:
        used = log.seconds / log.budget
        yield number("training_budget_used", name, used, "share", provenance, f"of {log.budget:g} s; {_course(log)}")
    for note in (*log.notes, *(f"training went back to its last good state at {row}" for row in log.rollbacks)):
        yield Skipped(subject=subject, reason=note, provenance=provenance)  # of the course, not of what was measured


def number(name: str, subject: str, value: float, unit: str, provenance: Provenance, note: str = "") -> Measurement:
    """Make a diagnostic of one value without uncertainty."""
    return Measurement(
        name=name,
        subject=subject,
        value=value,
        low=value,
        high=value,
        level=1.0,
        method="none",
        n=1,
        unit=unit,
        better="lower",
        provenance=provenance,
        role="diagnostic",
        note=note,
    )


def _course(log: Log) -> str:
    return f"{log.epochs:g} epochs, {log.steps} steps; {_ENDINGS[log.ending]}"
