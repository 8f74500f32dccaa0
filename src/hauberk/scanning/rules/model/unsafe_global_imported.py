"""Globals that loading a pickle imports without calling them yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.allowlist import standing
from hauberk.scanning.artifact import Artifact, Draft


class UnsafeGlobalImported:
    """Report names a pickle imports and hands on.

    What: loading the file imports a dangerous callable (high) or an unknown one (low) and keeps it in an object.
    Why: the import runs the module's top level, and the callable runs later: at prediction, when an attribute is
    read, or when the object is deleted.
    Fix: do not load it; rebuild the object from code you have, with weights from safetensors.
    """

    card: ClassVar[Card] = Card(
        title="Dangerous global imported by a pickle",
        summary="Loading the file imports a dangerous or unknown name without calling it at once.",
        paper="CWE-502; MITRE ATLAS AML.T0011",
        threats=("CWE-502", "OWASP-ML06", "AML.T0011"),
        severity="high",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each imported name that is not called and not known to be inert."""
        if artifact.format == "skops_schema":
            return  # skops_node judges them
        called = {call.callable for call in artifact.calls}
        for fact in artifact.imports:
            name = f"{fact.module}.{fact.name}" if fact.name else fact.module
            known = "inert" if name in called else standing(name)
            if known == "dangerous":
                yield Draft(
                    message=f"loading this file imports {name[:200]} and keeps it for later",
                    fix="do not load it; rebuild the object from code you have",
                    place=fact.place,
                )
            elif known != "inert":
                foreign = known == "foreign"
                yield Draft(
                    message=f"loading this file imports {name[:200]}, which is on no reviewed list",
                    fix="check that the module is the one you expect and that nobody can shadow it",
                    severity="medium" if foreign else "low",
                    confidence="medium",
                    place=fact.place,
                )
