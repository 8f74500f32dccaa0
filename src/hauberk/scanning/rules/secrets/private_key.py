"""The body of a private key is written in a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.secret_drafts import secret_drafts


class PrivateKey:
    """Find private keys of PEM, OpenSSH, PGP, PuTTY and age, service accounts' too.

    What: the body of a private key.
    Why: whoever has it is you: signs models, opens servers.
    Bad: `service-account.json` in the repository.
    Good: workload identity; a key in a secret store.
    Fix: replace the pair.
    """

    card: ClassVar[Card] = Card(
        title="Private key",
        summary="The body of a private key is written in a file.",
        paper="CWE-798; OWASP LLM02; MITRE ATLAS AML.T0012",
        threats=("CWE-798", "OWASP-LLM02", "AML.T0012"),
        severity="high",
        reads=("source", "notes", "references"),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Look through every text of the artifact."""
        yield from secret_drafts(
            artifact, "private_key", "high", "replace the key pair, and keep the private key in a secret store"
        )
