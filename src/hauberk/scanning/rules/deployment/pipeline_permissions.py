"""A pipeline's token may do more than its work needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Place

_FIX = "state permissions: {contents: read} on top, and more for the job that needs it"


class PipelinePermissions:
    """Find workflows whose token may write everything, or whose rights nobody stated.

    What: `permissions: write-all`, or no `permissions` at all.
    Why: a poisoned dependency in a test run pushes to the repository and publishes releases with that token.
    Bad: `permissions: write-all`.
    Good: `permissions: {contents: read}` on top, more for the one job that needs it.
    Fix: state the rights, least first.
    """

    card: ClassVar[Card] = Card(
        title="Broad pipeline permissions",
        summary="A workflow's token may write everything, or nobody said what it may.",
        paper="CWE-250, CWE-732; OWASP CICD-SEC-5",
        threats=("CWE-250", "CWE-732"),
        severity="medium",
        reads=("documents",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every workflow."""
        for document in artifact.documents:
            if document.kind != "workflow":
                continue
            jobs = document.root.get("jobs").fields.values()
            top = document.root.get("permissions")
            for rights in (top, *(job.get("permissions") for job in jobs)):
                if rights.text == "write-all":
                    yield Draft(
                        message="the token may write everything",
                        fix=_FIX,
                        severity="medium",
                        place=Place(line=rights.line),
                    )
            if not top and not all(job.get("permissions") or job.get("uses") for job in jobs):
                yield Draft(
                    message="nobody says what the token may do: the project's default may be everything",
                    fix=_FIX,
                    severity="info",
                    place=Place(line=document.root.line),
                )
