"""A signed JSON web token is written in a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.secret_drafts import secret_drafts


class WebToken:
    """Find JSON web tokens whose header decodes to a signing algorithm.

    What: a signed token as text; textbook examples and unsigned ones are left out.
    Why: it works for whoever reads it until it expires, and some never do.
    Bad: `Authorization: Bearer eyJ…` in a notebook.
    Good: a token asked for when it is needed.
    Fix: revoke it at its issuer.
    """

    card: ClassVar[Card] = Card(
        title="Web token",
        summary="A signed JSON web token is written in a file.",
        paper="CWE-798; OWASP LLM02; MITRE ATLAS AML.T0012",
        threats=("CWE-798", "OWASP-LLM02", "AML.T0012"),
        severity="medium",
        reads=("source", "notes", "references"),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Look through every text of the artifact."""
        yield from secret_drafts(
            artifact, "web_token", "medium", "revoke the session at its issuer and take tokens from the environment"
        )
