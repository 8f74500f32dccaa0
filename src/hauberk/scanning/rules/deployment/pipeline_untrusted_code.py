"""A pipeline runs a stranger's code with the project's rights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Place
from hauberk.scanning.document_tree import Node
from hauberk.scanning.pipeline_jobs import steps

_PRIVILEGED = ("pull_request_target", "workflow_run", "issue_comment")
_HEAD = re.compile(
    r"github\.event\.pull_request\.(?:head|merge_commit)|github\.head_ref|event\.workflow_run\.head|refs/pull/"
    r"|steps\.[\w-]+\.outputs\.(?:head_)?(?:sha|ref)"
)
_GUARDED = re.compile(
    r"author_association|\.labels\b|head\.repo\.full_name\s*==|head\.repo\.fork\s*==\s*false|actor\s*=="
)
_FETCHES = re.compile(
    r"\bgh\s+pr\s+checkout\b|git\s+(?:fetch|pull)[^\n]{0,500}\bpull/|git\s+checkout[^\n]{0,500}(?:HEAD_SHA|head_sha|head\.sha)"
)


class PipelineUntrustedCode:
    """Find workflows that run on `pull_request_target` or `workflow_run` and check out the pull request.

    What: a trigger that has the project's secrets and write token, and a checkout of code nobody has reviewed.
    Why: anyone who opens a pull request runs code with the secrets: it publishes a model or package in your name. So
    the Ultralytics releases of December 2024 were poisoned.
    Bad: `on: pull_request_target` and `actions/checkout` with `ref: ${{ github.event.pull_request.head.sha }}`.
    Good: `on: pull_request`, which has neither.
    Fix: build on pull_request, and label or publish in a second workflow that runs none of that code.
    """

    card: ClassVar[Card] = Card(
        title="Pipeline runs untrusted code",
        summary="A workflow with secrets checks out a pull request's code.",
        paper="CWE-829, CWE-94; OWASP CICD-SEC-4; MITRE ATLAS AML.T0010",
        threats=("CWE-829", "CWE-94", "AML.T0010"),
        severity="high",
        reads=("documents",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every workflow."""
        for document in artifact.documents:
            if document.kind != "workflow":
                continue
            triggers = triggers_of(document.root)
            privileged = [name for name in _PRIVILEGED if name in triggers]
            for _, job, step in steps(document) if privileged else ():
                if _checks_out(step):
                    guarded = _GUARDED.search(job.get("if").text) is not None or bool(job.get("environment"))
                    yield Draft(
                        message=f"{privileged[0]} gives the job secrets and a write token, and it checks out "
                        f"the pull request",
                        fix="use pull_request; publish in a second workflow that runs none of that code",
                        severity="medium" if guarded else "high",
                        place=Place(line=step.line),
                    )
            for _, job, step in steps(document) if "pull_request" in triggers else ():
                if "self-hosted" in job.get("runs-on").words and step is job.get("steps").items[0]:
                    yield Draft(
                        message="pull requests run on the project's own machine, and leave there what they like",
                        fix="run them on hosted or throw-away machines",
                        severity="medium",
                        confidence="medium",
                        place=Place(line=job.get("runs-on").line),
                    )


def triggers_of(root: Node) -> frozenset[str]:
    """Name what starts a workflow; YAML reads the key `on` as true, some writers quote it."""
    on = root.get("on") or root.get("true")
    return frozenset((*on.words, *on.fields))


def _checks_out(step: Node) -> bool:
    if step.get("uses").text.startswith("actions/checkout@"):
        given = step.get("with")
        return _HEAD.search(f"{given.get('ref').text} {given.get('repository').text}") is not None
    return _FETCHES.search(step.get("run").text) is not None
