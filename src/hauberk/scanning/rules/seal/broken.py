"""A sealed file is changed, missing, extra or of another kind, or the seal itself is broken."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity


class SealBroken:
    """Report what `hauberk verify` finds wrong with the seal of the project's model.

    Somebody or something has changed the model since it was sealed.
    Fix: get the files again from where they were sealed; do not load these.
    """

    card: ClassVar[Card] = Card(
        title="Seal does not hold",
        summary="A sealed file is changed, missing, extra or of another kind, or the seal itself is broken.",
        paper="CWE-345; CWE-353; OpenSSF model signing; SLSA 1.0",
        threats=("CWE-345", "CWE-353", "OWASP-ML06", "OWASP-LLM03", "AML.T0010"),
        severity="critical",
        reads=("seal.faults",),
    )
    kinds: ClassVar[dict[str, Severity]] = {
        "changed": "critical",
        "missing": "high",
        "extra": "high",
        "kind": "critical",
        "signature": "critical",
        "malformed": "high",
    }
    """The faults it speaks of, and their weight."""
    fix: ClassVar[str] = "get the files again from where they were sealed; do not load these"
