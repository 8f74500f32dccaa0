"""A script from the network is run unread."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.build_instructions import COMMANDS

_SHELL = r"(?:sudo\s+(?:-\S+\s+)*)?(?:/\S*/)?(?:env\s+)?(?:ba|da|z|k)?sh\b|(?:/\S*/)?python[\d.]*\b"
_INTO = re.compile(rf"\|\s*(?:tee\s+\S+\s*\|\s*)?(?:{_SHELL}|sudo\b|source\b)")
_INSIDE = re.compile(r"(?:<\(|\$\(|`)\s*(?:curl|wget)\b")
_FETCH = re.compile(r"\b(?:curl|wget|fetch|Invoke-WebRequest)\b")
_ADDRESS = re.compile(r"https?:|\$\{?\w*(?:URL|url)|\b[\w-]+\.(?:sh|io|com|dev|org|ai)/")
_CALLED = re.compile(rf"(?:^|[\s;&|(\"'])(?:{_SHELL}|eval|source|\.)\s")
_END = re.compile(r"[|;&\n]")
_REACH = 1000
"""How far before a pipe its command is looked for."""


class PipedInstaller:
    """Find `curl … | sh` and its kin in build files, start scripts, pipelines and notebooks.

    What: a download that a shell or an interpreter runs at once.
    Why: whoever controls the server, its name or the way to it runs code in the build, today or on the next one.
    Bad: `RUN curl -fsSL https://example.org/install.sh | sh`.
    Good: a fixed version, its digest checked, then run.
    Fix: download it to a file, `sha256sum -c`, then run the file.
    """

    card: ClassVar[Card] = Card(
        title="Piped installer",
        summary="A script from the network is run unread.",
        paper="CWE-494; MITRE ATLAS AML.T0010",
        threats=("CWE-494", "AML.T0010"),
        severity="high",
        reads=("instructions",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every command."""
        for item in artifact.instructions:
            if item.keyword in COMMANDS and _runs_unread(item.value):
                yield Draft(
                    message="a script from the network is run unread",
                    fix="download a fixed version, check its sha256, then run it",
                    place=item.place,
                )


def _runs_unread(command: str) -> bool:
    """Say whether a download is piped into a shell, or stands inside what a shell is told to run."""
    for match in _INTO.finditer(command):
        before = _END.split(command[max(0, match.start() - _REACH) : match.start()])[-1]
        fetch = _FETCH.search(before)
        if fetch is not None and _ADDRESS.search(before, fetch.end()):
            return True
    for match in _INSIDE.finditer(command):
        before = _END.split(command[max(0, match.start() - _REACH) : match.start()])[-1]
        if _CALLED.search(f" {before} "):
            return True
    return False
