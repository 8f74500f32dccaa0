"""A dependency file, or a line of it, could not be read, so nothing was judged there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft

_FORMATS = (
    "requirements", "pyproject", "lockfile", "pipfile", "conda_environment", "setuptools_files", "installed_package",
)  # fmt: skip


class UnreadableDeclaration:
    """Find dependency files that are not what their name says, and lines that are no requirement.

    What: a lock file that is no TOML, a requirement pip would refuse. Why: what cannot be read is not held against any
    advisory, and must not pass for clean.

    Bad: a truncated poetry.lock. Good: one that `poetry check` accepts. Fix: write it anew with its own tool.
    """

    card: ClassVar[Card] = Card(
        title="Unreadable dependency declaration",
        summary="A dependency file, or a line of it, could not be read, so nothing was judged there.",
        paper="CWE-1286; OWASP LLM03",
        threats=("CWE-1286", "OWASP-LLM03"),
        severity="medium",
        reads=("problems",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Report whole files as medium, single lines as low."""
        if artifact.format not in _FORMATS:
            return
        for problem in artifact.problems:
            if problem.kind in ("malformed", "truncated"):
                line = problem.message.startswith("not a requirement")
                yield Draft(
                    message=f"{problem.message}: not held against advisories",
                    fix="correct the line" if line else "write the file anew with the tool it belongs to",
                    severity="low" if line else "medium",
                    place=problem.place,
                )
