"""A dependency is pinned to a version that only a placeholder or a dependency-confusion trial has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft

_NINES = re.compile(r"(?:9{2,}|[1-9]0{2,}|12345\d*)(?:\.\d+)*")
_ZERO = re.compile(r"0(?:\.0)+")


class PlaceholderVersion:
    """Find pins such as 99.99.99, 9999 or 0.0.0.

    What: a version no ordinary release has. Why: whoever plants a public package under a private one's name gives it
    the highest version there is, and names kept back on an index stand at 0.0.0 with nothing, or anything, in them.

    Bad: `internal-models==99.99.99`. Good: `internal-models==1.4.2` from one index, with its hash. Fix: find out where
    the version comes from before installing it.
    """

    card: ClassVar[Card] = Card(
        title="Placeholder version",
        summary="A dependency is pinned to a version that only a placeholder or a dependency-confusion trial has.",
        paper="CWE-427, CWE-1357; OWASP LLM03; MITRE ATLAS AML.T0010.001",
        threats=("CWE-427", "CWE-1357", "OWASP-LLM03", "AML.T0010.001"),
        severity="medium",
        reads=("requirements",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every exact version."""
        for item in artifact.requirements:
            version = item.version or ""
            confusing = _NINES.fullmatch(version) is not None and not _plausible(version)
            # The project itself stands at 0.0.0 in its own lock file.
            empty = _ZERO.fullmatch(version) is not None and artifact.format not in ("lockfile", "installed_package")
            if confusing or empty:
                yield Draft(
                    message=f"{item.name} {version} is a version that placeholders and planted packages have",
                    fix=f"find out who published {item.name} {version}; pin a real release with its hash",
                    severity="medium" if confusing else "low",
                    confidence="medium",
                    place=item.place,
                )


def _plausible(version: str) -> bool:
    """Tell build numbers and years (100.0.1, 2000.1) from 99.99.99: nines, or a round number and nothing after it."""
    first = version.split(".")[0]
    return not (set(first) == {"9"} or (first.endswith("000") and set(version) <= set("10.")) or first == "12345")
