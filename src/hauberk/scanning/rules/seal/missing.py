"""The project's model has no seal, and the policy may ask for one."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity


class SealMissing:
    """Report what `hauberk verify` finds wrong with the seal of the project's model.

    Without a seal nothing tells a model from one that was put in its place.
    Fix: hauberk seal it, or set [seal] required = false.
    """

    card: ClassVar[Card] = Card(
        title="Model without a seal",
        summary="The project's model has no seal, and the policy may ask for one.",
        paper="CWE-345; CWE-353; OpenSSF model signing; SLSA 1.0",
        threats=("CWE-345", "CWE-353", "OWASP-ML06", "OWASP-LLM03", "AML.T0010"),
        severity="high",
        reads=("seal.faults",),
    )
    kinds: ClassVar[dict[str, Severity]] = {
        "unsealed": "high",
    }
    """The faults it speaks of, and their weight."""
    fix: ClassVar[str] = "hauberk seal it, or set [seal] required = false"
