"""The seal is unsigned, expired, revoked, or signed by somebody the policy does not name."""

from __future__ import annotations

from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity


class SealUntrusted:
    """Report what `hauberk verify` finds wrong with the seal of the project's model.

    Whoever changes a model can seal it anew; only the signature says who did.
    Fix: ask the signer, or name whom you trust in [[seal.trust]].
    """

    card: ClassVar[Card] = Card(
        title="Seal by nobody who is trusted",
        summary="The seal is unsigned, expired, revoked, or signed by somebody the policy does not name.",
        paper="CWE-345; CWE-353; OpenSSF model signing; SLSA 1.0",
        threats=("CWE-345", "CWE-353", "OWASP-ML06", "OWASP-LLM03", "AML.T0010"),
        severity="high",
        reads=("seal.faults",),
    )
    kinds: ClassVar[dict[str, Severity]] = {
        "unsigned": "high",
        "untrusted": "high",
        "expired": "high",
        "revoked": "critical",
        "provenance": "high",
    }
    """The faults it speaks of, and their weight."""
    fix: ClassVar[str] = "ask the signer, or name whom you trust in [[seal.trust]]"
