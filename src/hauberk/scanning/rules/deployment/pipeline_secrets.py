"""A pipeline shows its secrets or hands them all on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Place
from hauberk.scanning.pipeline_jobs import steps

_EXPRESSION = r"\$\{\{\s*secrets\.(?!GITHUB_TOKEN)[\w-]+\s*\}\}"
_SHOWING = re.compile(r"\b(?:echo|printf|cat|tee|Write-(?:Host|Output))\b")
_KEPT = re.compile(r"GITHUB_ENV|GITHUB_OUTPUT|\||>\s*/dev/null")
_PASTED = re.compile(_EXPRESSION)
_ALL = re.compile(r"toJSON\(\s*secrets\s*\)|\$\{\{\s*secrets\s*\}\}", re.IGNORECASE)


class PipelineSecrets:
    """Find secrets that are printed, sent whole, or written into files and command lines.

    What: `echo ${{ secrets.HF_TOKEN }}`, `toJSON(secrets)`, `secrets: inherit` to a workflow of somebody else.
    Why: masking in logs is by exact text: base64, a substring, an artefact or a debug log shows it. Whoever is
    handed all secrets loses all of them.
    Bad: `run: huggingface-cli login --token ${{ secrets.HF_TOKEN }}`.
    Good: `env: {HF_TOKEN: "${{ secrets.HF_TOKEN }}"}`.
    Fix: give each step the one secret it needs, in its environment.
    """

    card: ClassVar[Card] = Card(
        title="Pipeline shows secrets",
        summary="A workflow prints secrets or hands all of them on.",
        paper="CWE-532, CWE-200; OWASP CICD-SEC-6; OWASP LLM02",
        threats=("CWE-532", "CWE-200", "OWASP-LLM02"),
        severity="medium",
        reads=("documents",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge scripts, variables and calls of other workflows."""
        for document in artifact.documents:
            for _, _, step in steps(document):
                script = step.get("run")
                if _printed(script.text):
                    yield Draft(
                        message="a secret is printed or written to a file by the script",
                        fix="give it to the step in its environment, and do not print it",
                        severity="high",
                        place=Place(line=script.line),
                    )
                elif _PASTED.search(script.text):
                    yield Draft(
                        message="a secret becomes part of a command line, where other processes and error "
                        "messages show it",
                        fix="give it to the step in its environment",
                        severity="low",
                        place=Place(line=script.line),
                    )
            for key, node in document.root.walk() if document.kind in ("workflow", "action") else ():
                if _ALL.search(node.text) and key != "if":
                    yield Draft(
                        message="every secret of the project is handed over at once",
                        fix="name the secrets that are needed",
                        severity="high",
                        place=Place(line=node.line),
                    )
            for job in document.root.get("jobs").fields.values() if document.kind == "workflow" else ():
                if job.get("secrets").text == "inherit" and not job.get("uses").text.startswith("./"):
                    yield Draft(
                        message=f"{job.get('uses').text} is handed every secret",
                        fix="name the secrets that it needs",
                        severity="low",
                        place=Place(line=job.get("secrets").line),
                    )


def _printed(script: str) -> bool:
    """Say whether a line writes a secret out, and not to another program or a masked variable."""
    for line in script.split("\n"):
        secret = _PASTED.search(line)
        if secret is None or line.lstrip().startswith("#") or _KEPT.search(line):
            continue
        if _SHOWING.search(line, 0, secret.start()):
            return True
    return False
