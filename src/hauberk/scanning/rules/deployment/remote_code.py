"""A server is told to run a model repository's code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.build_instructions import COMMANDS

_TRUST = re.compile(
    r"(?i)--trust[-_]remote[-_]code\b(?![ =](?:false|0)\b)|\b\w*TRUST_REMOTE_CODE=[\"']?(?:true|1|yes)\b"
)
_PINNED = re.compile(r"--code[-_]revision[ =][0-9a-f]{40}\b")


class RemoteCode:
    """Find `--trust-remote-code` and its variables in commands, variables and settings.

    What: the model's repository decides what runs in the container.
    Why: whoever may push to it runs code there with the server's keys.
    Bad: `vllm serve org/model --trust-remote-code`.
    Good: a model whose class is in the server; `--code-revision` with a commit that somebody has read.
    Fix: drop the flag.
    """

    card: ClassVar[Card] = Card(
        title="Remote code in deployment",
        summary="A server is told to run a model repository's code.",
        paper="CWE-829; OWASP LLM03; MITRE ATLAS AML.T0010.001",
        threats=("CWE-829", "OWASP-LLM03", "AML.T0010.001"),
        severity="high",
        reads=("instructions",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every command and variable."""
        for item in artifact.instructions:
            if item.keyword in (*COMMANDS, "ENV", "SETTING") and _TRUST.search(item.value):
                yield Draft(
                    message="the server runs Python files of the model's repository",
                    fix="drop --trust-remote-code, or pin --revision and --code-revision to commits you have read",
                    severity="low" if _PINNED.search(item.value) else "high",
                    place=item.place,
                )
