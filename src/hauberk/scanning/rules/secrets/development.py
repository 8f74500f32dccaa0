"""A token of a code host, package index or messenger is written in a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.secret_drafts import secret_drafts


class Development:
    """Find tokens of code hosts, package indexes, messengers and payment, by checksum where it is public.

    What: a token of GitHub, GitLab, npm, PyPI, Docker Hub, Slack, Discord, Telegram, Stripe, SendGrid, … as text, or a
    login in base64. One whose checksum fails is reported with low confidence.
    Why: a stolen publishing token turns your package into someone else's malware.
    Bad: `twine upload -p pypi-…`.
    Good: trusted publishing, with identities that last minutes.
    Fix: revoke it.
    """

    card: ClassVar[Card] = Card(
        title="Development token",
        summary="A token of a code host, package index or messenger is written in a file.",
        paper="CWE-798; OWASP LLM02; MITRE ATLAS AML.T0012",
        threats=("CWE-798", "OWASP-LLM02", "AML.T0012"),
        severity="high",
        reads=("source", "notes", "references"),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Look through every text of the artifact."""
        yield from secret_drafts(artifact, "development", "high")
