"""A key of a cloud account or storage is written in a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.secret_drafts import secret_drafts


class Cloud:
    """Find keys of AWS, Azure, Google, Databricks, DigitalOcean, Cloudflare, Vault and other clouds.

    What: an access key, a storage key, a signed address or a client's secret as text.
    Why: it often opens the training data and the model store.
    Bad: `aws_secret_access_key = …` beside the code.
    Good: a role bound to the machine or the pipeline.
    Fix: revoke it, and look at the account's log.
    """

    card: ClassVar[Card] = Card(
        title="Cloud key",
        summary="A key of a cloud account or storage is written in a file.",
        paper="CWE-798; OWASP LLM02; MITRE ATLAS AML.T0012",
        threats=("CWE-798", "OWASP-LLM02", "AML.T0012"),
        severity="high",
        reads=("source", "notes", "references"),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Look through every text of the artifact."""
        yield from secret_drafts(artifact, "cloud", "high")
