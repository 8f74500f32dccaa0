"""What a skops file would make that nobody vouches for, and nodes that confuse its loader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.allowlist import Standing, says_it_acts, standing
from hauberk.scanning.artifact import Artifact, Draft

_CALLED: dict[Standing, Severity] = {
    "dangerous": "critical",
    "foreign": "high",
    "unknown": "medium",
    "framework": "low",
}
_IMPORTED: dict[Standing, Severity] = {"dangerous": "high", "foreign": "medium", "unknown": "low", "framework": "low"}


class SkopsNode:
    """Judge the nodes of a skops file by the classes they name.

    What: the schema makes or imports something dangerous (critical, high), something no model needs (high) or a class
    on no reviewed list (medium), or gives a loader a class it is not meant for, or reads a method off an object to get
    out of it (high).
    Why: skops asks which types to trust, but releases before 0.12 asked about another type than the one they made
    (CVE-2025-54412, CVE-2025-54413), and whoever trusts every type it lists trusts this file.
    Bad: {"__loader__": "OperatorFuncNode", "__module__": "builtins", "__class__": "eval", …}
    Good: {"__loader__": "ObjectNode", "__module__": "sklearn.svm._classes", "__class__": "SVC", …}
    Fix: do not load it; else load it with skops 0.13 or later and a list of trusted types that you wrote yourself.
    """

    card: ClassVar[Card] = Card(
        title="Node of a skops file",
        summary="The file makes something that is on no reviewed list, or confuses the loader about what it makes.",
        paper="CWE-502; CWE-843; CVE-2025-54412; CVE-2025-54413; MITRE ATLAS AML.T0010",
        threats=("CWE-502", "CWE-843", "OWASP-ML06", "AML.T0010", "CVE-2025-54412", "CVE-2025-54413"),
        severity="critical",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each name that is not known to be inert and each node that does not fit."""
        if artifact.format != "skops_schema":
            return
        for call in artifact.calls:
            yield from _judged(call.callable, "makes", _CALLED, says_it_acts(call.callable) and call.effect == "call")
        called = {call.callable for call in artifact.calls}
        for fact in artifact.imports:
            name = f"{fact.module}.{fact.name}"
            if name not in called:
                yield from _judged(name, "imports", _IMPORTED, acts=False)
        for problem in artifact.problems:
            if problem.kind in ("disagreement", "malformed", "truncated"):
                yield Draft(
                    message=f"a node that does not fit: {problem.message}",
                    fix="do not load it; skops itself writes no such node",
                    severity="high" if problem.kind == "disagreement" else "medium",
                )


def _judged(name: str, verb: str, weights: dict[Standing, Severity], acts: bool) -> Iterator[Draft]:
    known = standing(name)
    if known == "inert":
        return
    yield Draft(
        message=f"loading this skops file {verb} {name[:200]}, which is on no list of harmless names",
        fix="load it with a list of trusted types that you wrote yourself, and without this one",
        severity="high" if acts and weights[known] == "medium" else weights[known],
        confidence="high" if known == "dangerous" else "medium",
    )
