"""A dependency is pinned to a release its author withdrew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.known_vulnerable import version_of
from hauberk.scanning.release_index import release_index


class Yanked:
    """Find pins to releases that were withdrawn (yanked, PEP 592).

    What: an exact pin still installs a withdrawn release. Why: releases are withdrawn for broken, wrong or planted
    content. Known only where `hauberk update --releases` asked an index; without it this rule is silent.

    Bad: a pin of the withdrawn release. Good: the release after it. Fix: `hauberk patch`.
    """

    card: ClassVar[Card] = Card(
        title="Withdrawn release",
        summary="A dependency is pinned to a release its author withdrew.",
        paper="PEP 592; CWE-1357; OWASP LLM03",
        threats=("CWE-1357", "OWASP-LLM03"),
        severity="medium",
        reads=("requirements",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Look every exact version up."""
        index = release_index()
        for item in artifact.requirements if index.packages else ():
            version, listing = version_of(item), index.of(item.name)
            row = listing.of(version) if listing is not None and version is not None else None
            if row is not None and listing is not None and row.yanked is not None:
                reason = f": {row.yanked[:200]}" if row.yanked else ""
                yield Draft(
                    message=f"{item.name} {item.version} was withdrawn by its author{reason} "
                    f"(index asked on {listing.asked_on})",
                    fix="pin the release before or after it",
                    place=item.place,
                )
