"""Pickles that break off, disagree with themselves or are built to exhaust what loads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft

_OPENING = {"exhaustion": "loading it would exhaust memory or time"}


class MalformedPickle:
    """Report pickles no pickler writes.

    What: the stream is truncated or malformed, is followed by other bytes, announces more than the file holds, expands
    without bound, has harmless functions make values that no machine holds, or is read differently by different
    unpicklers.
    Why: everything before the break still runs when the file is loaded, and scanners that refuse broken files have
    been bypassed with just that. Disagreement lets a file show one face to a scanner and another to a loader.
    Fix: do not load it; fetch the file again, or write it anew from its source.
    """

    card: ClassVar[Card] = Card(
        title="Malformed pickle",
        summary="The pickle is broken, ambiguous or built to exhaust its loader.",
        paper="CWE-502; CWE-1284; CWE-436",
        threats=("CWE-436", "CWE-1284", "AML.T0010"),
        severity="medium",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each problem of a pickle."""
        if artifact.format != "pickle_stream":
            return
        weight: dict[str, Severity] = {
            "malformed": "medium",
            "truncated": "medium",
            "disagreement": "high",
            "exhaustion": "high",
        }
        for problem in artifact.problems:
            if problem.kind in weight:
                ran = (
                    f" after {len(artifact.calls)} call(s)"
                    if artifact.calls and problem.kind in ("malformed", "truncated")
                    else ""
                )
                yield Draft(
                    message=f"{_OPENING.get(problem.kind, 'not a well-formed pickle')}: {problem.message}{ran}",
                    fix="do not load it; fetch or write the file anew",
                    severity=weight[problem.kind],
                    place=problem.place,
                )
