"""A stranger's text becomes part of a pipeline's commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Place
from hauberk.scanning.document_tree import Node
from hauberk.scanning.pipeline_jobs import steps

_TEXTS = (
    r"github\.event\.(?:issue|pull_request|discussion|comment|review|review_comment|release|milestone|label)\."
    r"(?:title|body|name|description|user\.login)|github\.event\.pull_request\.head\.(?:ref|label|repo\.default_branch)"
    r"|github\.head_ref|github\.event\.head_commit\.(?:message|author\.(?:name|email))|github\.event\.commits\b"
    r"|github\.event\.pages\b|github\.event\.workflow_run\.head_(?:branch|commit\.message)|github\.event\.client_payload\b"
)
_FOREIGN = re.compile(rf"\$\{{\{{([^}}]{{0,200}}?(?:{_TEXTS})[^}}]{{0,200}})\}}\}}")
_INPUT = re.compile(r"\$\{\{(\s*(?:github\.event\.)?inputs\.[\w-]+\s*)\}\}")


class PipelineInjection:
    """Find expressions of titles, bodies, branch names and comments inside `run:` and `github-script`.

    What: `${{ github.event.issue.title }}` is pasted into the script before the shell reads it.
    Why: an issue called `"; curl … | sh; #` runs. That is how a branch name took over a release pipeline in 2024.
    Bad: `run: echo "${{ github.event.pull_request.title }}"`.
    Good: `env: {TITLE: "${{ github.event.pull_request.title }}"}` and `run: echo "$TITLE"`.
    Fix: pass it through env and quote the variable.
    """

    card: ClassVar[Card] = Card(
        title="Pipeline injection",
        summary="A title, branch name or comment is pasted into a script.",
        paper="CWE-94, CWE-78; OWASP CICD-SEC-4",
        threats=("CWE-94", "CWE-78"),
        severity="high",
        reads=("documents",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every script of every step."""
        for document in artifact.documents:
            for _, _, step in steps(document):
                script = step.get("run") or (
                    step.get("with", "script") if "github-script" in step.get("uses").text else Node()
                )
                found = _FOREIGN.search(script.text)
                inputs = _INPUT.search(script.text) if not found else None
                if found:
                    yield Draft(
                        message=f"{found[1].strip()} becomes part of the script: whoever writes it runs commands",
                        fix="pass it through env, and use the variable in quotes",
                        place=_line(script, found.start()),
                    )
                elif inputs:
                    yield Draft(
                        message=f"{inputs[1].strip()} becomes part of the script",
                        fix="pass it through env, and use the variable in quotes",
                        severity="low",
                        place=_line(script, inputs.start()),
                    )


def _line(script: Node, offset: int) -> Place:
    """Say where in the file a place of a block script is: the text begins on the line after its key."""
    below = script.text.count("\n", 0, offset)
    return Place(line=(script.line or 1) + below + (1 if "\n" in script.text.rstrip("\n") or below else 0))
