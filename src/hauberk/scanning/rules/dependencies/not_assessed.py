"""What the embedded advisories say nothing about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.known_vulnerable import covered, snapshot, version_of

_SHOWN = 12


class NotAssessed:
    """Name the dependencies that could not be held against the advisories, one note a file.

    An absent finding is not a clean bill: ranges have no version to judge, and the snapshot knows AI packages only. Ask
    a live database for the rest, and lock exact versions.
    """

    card: ClassVar[Card] = Card(
        title="Not assessed dependencies",
        summary="What the embedded advisories say nothing about.",
        paper="OWASP LLM03",
        threats=("OWASP-LLM03",),
        severity="info",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Count what was assessed and list what was not."""
        if not artifact.requirements:
            return
        names = sorted({item.name or "an unnamed address" for item in artifact.requirements})
        done = {item.name for item in artifact.requirements if item.name in covered() and version_of(item) is not None}
        left = [name for name in names if name not in done]
        if left:
            shown = ", ".join(left[:_SHOWN]) + (f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else "")
            yield Draft(
                message=f"{len(done)} of {len(names)} dependencies were held against the offline advisories of "
                f"{snapshot().checked_on.isoformat()} ({len(covered())} packages); not assessed: {shown}",
                fix="lock exact versions, and ask a live advisory database for the packages not covered",
            )
