"""Weights whose numbers are not those of a trained model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft, Note
from hauberk.scanning.weight_statistics import Statistics, read_statistics

_HUGE = 1e5
_APART, _TIMES = 12.0, 3.0
"""A row is apart beyond so many robust deviations and so many times the usual norm: random rows stay below 5 and 2."""
_TOLD = 20


class OddWeights:
    """Report tensors with values that are not finite, huge or all alike, and a class of the last layer apart.

    What: NaN or infinity, numbers beyond 100 000, one number repeated, or one row of the last layer whose norm is at
    least three times the usual and twelve robust deviations from it.
    Why: a broken export, a model that was tampered with by hand, or a backdoor: fine-tuning on a trigger mostly changes
    the row of its target. A hint, no proof, and its absence proves nothing; `hauberk attack` tests the model.
    Bad: a head in which class 7 weighs ten times what the others do. Good: rows of like norms.
    Fix: compare with the publisher's digest; test the model for backdoors.
    """

    card: ClassVar[Card] = Card(
        title="Odd numbers among the weights",
        summary="Tensors hold values that are not finite, huge, all alike, or one class apart from the rest.",
        paper="Gu et al. 2017, arXiv:1708.06733; Fields et al. 2021, arXiv:2109.01057 (weights of the final layer)",
        threats=("OWASP-ML10", "AML.T0018"),
        severity="low",
        reads=("notes",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each oddity of each tensor, a bounded number."""
        told = 0
        for note in artifact.notes:
            if not note.name.startswith("statistics:") or told >= _TOLD:
                continue
            for words, severity in _odd(read_statistics(note.text)):
                told += 1
                yield _draft(note, words, severity)


def _odd(seen: Statistics) -> Iterator[tuple[str, Severity]]:
    if seen.not_finite:
        yield f"{seen.not_finite} of {seen.looked_at} values looked at are not finite", "low"
    if seen.largest > _HUGE:
        yield f"values as large as {seen.largest:.3g}", "low"
    if seen.constant:
        yield f"nothing but the number {seen.largest:.6g} in the {seen.looked_at} values looked at", "info"
    if seen.distance > _APART and seen.norm > _TIMES * seen.usual:
        times = f"{seen.norm / seen.usual:.1f} times the usual norm" if seen.usual else "all the weight"
        yield f"row {seen.row} of the last layer has {times}: one class apart from the rest", "low"


def _draft(note: Note, words: str, severity: Severity) -> Draft:
    return Draft(
        message=f"tensor {note.name.removeprefix('statistics:')[:100]!r}: {words}",
        fix="compare its digest with the publisher's; test the model for backdoors (hauberk attack)",
        severity=severity,
        confidence="low",
        place=note.place,
    )
