"""A pipeline runs whatever a name points to that day."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Place
from hauberk.scanning.document_tree import Document, Node
from hauberk.scanning.pipeline_jobs import steps

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class PipelineUnpinnedAction:
    """Find actions and reusable workflows named by a branch or a tag.

    What: `uses: owner/action@v4` is looked up at every run.
    Why: whoever takes over the action moves its tag: tj-actions/changed-files printed the secrets of 23,000 projects
    in 2025.
    Bad: `uses: owner/action@main`.
    Good: `uses: owner/action@8f4b7f84…  # v4.1.0`.
    Fix: pin the commit; let a bot propose new ones.
    """

    card: ClassVar[Card] = Card(
        title="Unpinned action",
        summary="An action is named by a branch or a tag that can be moved.",
        paper="CWE-829, CWE-1357; OWASP CICD-SEC-3; CVE-2025-30066",
        threats=("CWE-829", "CWE-1357", "AML.T0010"),
        severity="low",
        reads=("documents",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every `uses`."""
        for document in artifact.documents:
            for node in _uses(document):
                name, _, revision = node.text.partition("@")
                if (
                    name.startswith("./")
                    or _COMMIT.fullmatch(revision)
                    or "@sha256:" in node.text
                    or "${{" in node.text
                ):
                    continue
                moving = revision in ("main", "master", "develop", "dev", "latest", "HEAD", "")
                own = name.startswith(("actions/", "github/"))
                yield Draft(
                    message=f"{node.text} is whatever that {'branch' if moving else 'tag'} points to at each run",
                    fix="pin the commit: owner/action@<40 hex digits>  # the tag",
                    severity="info" if own else "medium" if moving else "low",
                    place=Place(line=node.line),
                )


def _uses(document: Document) -> Iterator[Node]:
    for _, _, step in steps(document):
        if step.get("uses").text:
            yield step.get("uses")
    for job in document.root.get("jobs").fields.values() if document.kind == "workflow" else ():
        if job.get("uses").text:
            yield job.get("uses")
