"""Programs, scripts, archives and pickles among a model's weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft

_WEIGHTS: dict[str, Severity] = {
    "Python code": "medium",
    "shell commands": "medium",
    "an HTML script": "medium",
    "an address": "low",
}


class EmbeddedPayload:
    """Report what is hidden among the weights.

    What: bytes in a tensor are a program (ELF, PE, Mach-O), an archive, a script or a pickle that names a dangerous
    module (high), code (medium) or an address (low). Magic bytes alone are not enough: the header behind them must
    hold. Of large weights the beginnings of tensors and a sample are searched; with --digests every byte, for programs.
    Why: weights are a carrier that nobody looks at; a second stage, a loader with another idea of the file, or a tool
    that unpacks by magic runs what lies there.
    Bad: a tensor that begins with an ELF header. Good: random weights in which the two bytes "MZ" happen to occur.
    Fix: do not load it; compare the digest with the publisher's.
    """

    card: ClassVar[Card] = Card(
        title="Payload among the weights",
        summary="A tensor holds a program, an archive, a script or a pickle.",
        paper="CWE-506; OWASP ML06:2023, LLM03:2025; MITRE ATLAS AML.T0018.002",
        threats=("CWE-506", "OWASP-ML06", "OWASP-LLM03", "AML.T0018", "AML.T0010"),
        severity="high",
        reads=("references",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each find."""
        for fact in artifact.references:
            if fact.kind == "payload":
                weight: Severity = _WEIGHTS.get(fact.value, "high")
                yield Draft(
                    message=f"its weights hold {fact.value}",
                    fix="do not load it; compare its digest with the publisher's",
                    severity=weight,
                    confidence="medium",
                    place=fact.place,
                )
