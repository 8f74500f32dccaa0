"""Objects that a keras file has its loader look up by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft, Lookup, Reference
from hauberk.scanning.keras_names import KerasStanding, keras_standing

_MOST = 50
_FIX = "do not load it; build the network in your own code and load only the weights"
_JUDGED: dict[KerasStanding, tuple[Severity, str]] = {
    "acts": ("critical", "which runs, loads or fetches something and is no part of a network"),
    "pickle": ("high", "which unpickles or loads a program that the file brings or names"),
    "unknown": ("high", "which is no known part of a network"),
    "project": ("medium", "of a module that is imported for it"),
    "own": ("low", "which whoever loads the file must have registered"),
}


class KerasObject:
    """Judge every class and function that a keras configuration names, by module and name.

    What: the file has the loader look up a callable that runs, loads or fetches (critical), a wrapper that unpickles or
    loads another program, or a name of keras that is no part of a network (high), a module of others (medium), a custom
    class that its user registers (low); it names files outside its folder, or switches safe loading off.
    Why: keras imports the module and calls the name with arguments from the file. Before 3.9 any module would do
    (CVE-2025-1550), later its own helpers (CVE-2025-8747, CVE-2025-9906), and a TorchModuleWrapper unpickles
    (CVE-2025-49655); vocabularies read any file (CVE-2025-12058); .h5 files never knew a safe mode (CVE-2025-9905).
    Bad: `{"module": "os", "class_name": "function", "config": "system"}`
    Good: `{"module": "keras.layers", "class_name": "Dense"}`
    Fix: build the network in your own code and load only the weights.
    """

    card: ClassVar[Card] = Card(
        title="Object named by a keras file",
        summary="Loading the keras file looks up a callable that is no part of a network, or files outside it.",
        paper="CWE-502; CWE-470; CVE-2025-1550; CVE-2025-8747; CVE-2025-9905; CVE-2025-49655; CVE-2025-12058",
        threats=("CWE-502", "CWE-470", "OWASP-ML06", "AML.T0010", "AML.T0011", "CVE-2025-1550", "CVE-2025-49655"),
        severity="critical",
        reads=("lookups", "references"),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each name and each file."""
        told: set[tuple[str, str, str]] = set()
        for fact in artifact.lookups:
            key = (fact.verb, fact.module, fact.name)
            if fact.kind == "keras" and not fact.verb.endswith("lambda") and key not in told and len(told) < 1000:
                told.add(key)
                yield from _judged(fact)
        references = [fact for fact in artifact.references if fact.kind == "keras-path"]
        yield from (_leading_out(fact) for fact in references[:_MOST])


def _judged(fact: Lookup) -> Iterator[Draft]:
    if fact.verb == "switch":
        yield Draft(
            message=f"switches keras' safe mode off{_at(fact)}",
            fix=_FIX,
            severity="high",
            place=fact.place,
        )
        return
    judged = _JUDGED.get(keras_standing(fact.module, fact.name, fact.verb))
    if judged is not None:
        severity, why = judged
        dotted = f"{fact.module}.{fact.name}" if fact.module else fact.name
        yield Draft(
            message=f"loading this file looks up {dotted[:200]}, {why}{_at(fact)}",
            fix=_FIX if severity != "low" else "know where the class comes from that you register under that name",
            severity=severity,
            confidence="high" if severity in ("critical", "low") else "medium",
            place=fact.place,
            trace=(f"{fact.where}: {dotted}({fact.arguments})"[:300],) if fact.arguments else (),
        )


def _at(fact: Lookup) -> str:
    return f" (at {fact.where[:120]})" if fact.where else ""


def _leading_out(fact: Reference) -> Draft:
    where, _, value = fact.value.partition(": ")
    return Draft(
        message=f"loading this file reads {value[:200]!r} (at {where[:120]})",
        fix=_FIX,
        severity="high",
        place=fact.place,
    )
