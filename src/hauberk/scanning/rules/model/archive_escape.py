"""Archive members that would be written outside the folder they are unpacked to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft


class ArchiveEscape:
    """Report members with a path or a link that leads out.

    What: a member's name is absolute, climbs with "..", names a drive or holds a NUL; or the member is a link.
    Why: unpacking writes or reads files anywhere the user may: start-up scripts, keys, other models.
    Fix: do not unpack it; ask for an archive with plain relative names.
    """

    card: ClassVar[Card] = Card(
        title="Archive member leads out of its folder",
        summary="A member's path or link escapes the folder the archive is unpacked to.",
        paper="CWE-22; CWE-59",
        threats=("CWE-22", "CWE-59", "AML.T0010"),
        severity="high",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each such member."""
        for fact in artifact.references:
            if fact.kind == "member-path":
                yield Draft(
                    message=f"the member {fact.value[:200]!r} leads out of the folder it is unpacked to",
                    fix="do not unpack it; ask for an archive with plain relative names",
                    place=fact.place,
                )
            elif fact.kind == "member-link":
                yield Draft(
                    message=f"the member {fact.value[:200]!r} is a link",
                    fix="unpack without following links, or ask for an archive without them",
                    severity="medium",
                    place=fact.place,
                )
