"""What the advisories at hand say nothing about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Requirement
from hauberk.scanning.known_vulnerable import snapshot, version_of

_SHOWN = 12


class NotAssessed:
    """Name the dependencies that could not be held against the advisories, one note a file.

    What: ranges, addresses and odd versions leave nothing to compare. Why: an absent finding is not a clean bill.

    Bad: `torch>=2`. Good: a lock file. Fix: lock exact versions; `hauberk update` where the list is old.
    """

    card: ClassVar[Card] = Card(
        title="Not assessed dependencies",
        summary="What the advisories at hand say nothing about.",
        paper="CWE-1395; OWASP LLM03",
        threats=("CWE-1395", "OWASP-LLM03"),
        severity="info",
        reads=("requirements",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Count what was assessed and list what was not."""
        names = {_name(item) for item in artifact.requirements}
        done = {item.name for item in artifact.requirements if item.name and version_of(item) is not None}
        left = sorted(names - done)
        known = snapshot()
        if left or (names and known.fault):
            shown = ", ".join(left[:_SHOWN]) + (f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else "")
            yield Draft(
                message=f"{len(done)} of {len(names)} dependencies were held against the offline advisories of "
                f"{known.dates}; without an exact version: {shown or 'none'}"
                + (f". {known.fault}" if known.fault else ""),
                fix="lock exact versions (pip-compile, uv lock, poetry lock) and scan the lock file",
            )


def _name(item: Requirement) -> str:
    return item.name or "an unnamed address"
