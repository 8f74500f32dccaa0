"""A random-looking value stands under a name such as api_key, token or password, or in an address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.secret_drafts import secret_drafts


class NamedValue:
    """Find values that their name calls a key, token or password; passwords in addresses, .netrc and command lines.

    What: `db_password = "…"`, `--api-key …`, `curl -u name:…`, `postgres://user:…@host`.
    Why: it works for whoever reads the file. The provider is not known, so it may be harmless.
    Bad: `url = "postgres://ml:Tr0ub4dor@db/prod"`.
    Good: `url = os.environ["DATABASE_URL"]`.
    Fix: change it, and take it from the environment. Placeholders, references, words and test values are left out.
    """

    card: ClassVar[Card] = Card(
        title="Named secret",
        summary="A random-looking value stands under a name such as api_key, token or password, or in an address.",
        paper="CWE-798; OWASP LLM02; MITRE ATLAS AML.T0012",
        threats=("CWE-798", "OWASP-LLM02", "AML.T0012"),
        severity="medium",
        reads=("source", "notes", "references"),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Look through every text of the artifact."""
        yield from secret_drafts(
            artifact, "named_value", "medium", "take it from the environment or a secret store, and change it"
        )
