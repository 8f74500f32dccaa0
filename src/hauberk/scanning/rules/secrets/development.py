"""A token of a code host, package index or messenger is written in a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.secret_drafts import secret_drafts


class Development:
    """Find tokens of GitHub, GitLab, npm, PyPI, Docker Hub, Slack, Stripe and SendGrid, by checksum where it is public.

    A stolen publishing token turns your package into someone else's malware. Revoke it and publish from short-lived
    identities (trusted publishing).
    """

    card: ClassVar[Card] = Card(
        title="Development token",
        summary="A token of a code host, package index or messenger is written in a file.",
        paper="CWE-798; OWASP LLM02; MITRE ATLAS AML.T0012",
        threats=("CWE-798", "OWASP-LLM02", "AML.T0012"),
        severity="high",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Look through every text of the artifact."""
        yield from secret_drafts(artifact, "development", "high")
