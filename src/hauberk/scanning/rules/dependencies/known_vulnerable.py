"""A dependency has a known weakness."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Requirement
from hauberk.scanning.known_vulnerable import Advisory, never_fixed, snapshot, version_of


class KnownVulnerable:
    """Hold exact versions, and ranges that no fixed release satisfies, against the embedded advisories.

    The advisories are a dated, hand-curated snapshot for AI packages, not a feed: a clean result says nothing of
    packages it does not know (see `dependencies.not_assessed`). Update to the fixed release.
    """

    card: ClassVar[Card] = Card(
        title="Known vulnerable dependency",
        summary="A dependency has a known weakness.",
        paper="CWE-1395; OWASP LLM03 and ML06; MITRE ATLAS AML.T0010.001",
        threats=("CWE-1395", "OWASP-LLM03", "OWASP-ML06", "AML.T0010.001"),
        severity="high",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every requirement."""
        known = snapshot()
        for requirement in artifact.requirements:
            version = version_of(requirement)
            for advisory in known.of(requirement.name):
                if version is not None and advisory.affects(version):
                    yield _draft(requirement, advisory, f"{requirement.name} {requirement.version} is affected by")
                elif version is None and never_fixed(requirement, advisory):
                    yield _draft(
                        requirement,
                        advisory,
                        f"no release that {requirement.name} {requirement.specifier} allows is fixed against",
                    )


def _draft(requirement: Requirement, advisory: Advisory, what: str) -> Draft:
    named = (advisory.id,) if advisory.id.startswith(("CVE-", "GHSA-")) else ()
    return Draft(
        message=f"{what} {advisory.id}: {advisory.title} (advisories of {snapshot().checked_on.isoformat()})",
        fix=f"update to {advisory.package} {advisory.fixed} or later"
        if advisory.fixed
        else f"remove {advisory.package}",
        severity=advisory.severity,
        confidence=advisory.confidence,
        place=requirement.place,
        references=(*named, *KnownVulnerable.card.threats),
    )
