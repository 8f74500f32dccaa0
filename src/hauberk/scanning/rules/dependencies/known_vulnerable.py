"""A dependency has a known weakness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft, Requirement
from hauberk.scanning.known_vulnerable import Hit, Snapshot, hits, safe_release, snapshot, version_of

LISTED, ROOM = 8, 90
"""Advisories of one dependency with a finding of their own, and findings of one file; the rest share one finding.

The engine lists a hundred findings of a rule in one file: no dependency may be lost among another's many.
"""


class KnownVulnerable:
    """Hold exact versions, and ranges that no fixed release satisfies, against the advisories at hand.

    What: a published weakness of this release. Why: its exploit is published with it. The advisories are dated
    snapshots (`hauberk update` refreshes them), so a clean result speaks of their day. Where no source rates an
    advisory, what runs code is taken as high and the rest as medium.

    Bad: `torch==2.5.0`, `torch>=2.0,<2.6`. Good: `torch==2.13.0`. Fix: update; `hauberk patch` writes the difference.
    """

    card: ClassVar[Card] = Card(
        title="Known vulnerable dependency",
        summary="A dependency has a known weakness.",
        paper="CWE-1395; OWASP LLM03 and ML06; MITRE ATLAS AML.T0010.001",
        threats=("CWE-1395", "OWASP-LLM03", "OWASP-ML06", "AML.T0010.001"),
        severity="high",
        reads=("requirements",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge every requirement."""
        known = snapshot()
        found = [(item, met) for item in artifact.requirements if (met := hits(item, known))]
        each = max(0, min(LISTED, ROOM // max(1, len(found)) - 1))
        for requirement, met in found:
            own = each if len(met) > each + 1 else len(met)
            for hit in met[:own]:
                yield _draft(requirement, hit, known)
            if met[own:]:
                yield _rest(requirement, met[own:], known, shared=own > 0)


def _draft(requirement: Requirement, hit: Hit, known: Snapshot) -> Draft:
    row = hit.advisory
    if version_of(requirement) is None:
        what = f"no release that {requirement.name} {requirement.specifier} allows is fixed against"
    else:
        what = f"{requirement.name} {requirement.version} is affected by"
    rated = "" if row.rated else "; nobody rated it"
    return Draft(
        message=f"{what} {row.id}: {row.title} (advisories of {known.dates}{rated})",
        fix=_fix(requirement, hit, known),
        severity=row.severity,
        confidence=row.confidence,
        place=requirement.place,
        references=(*_ids([hit]), *KnownVulnerable.card.threats),
    )


def _rest(requirement: Requirement, met: Sequence[Hit], known: Snapshot, shared: bool) -> Draft:
    return Draft(
        message=f"{requirement.name} {requirement.version or requirement.specifier} is affected by {len(met)} "
        f"{'more ' if shared else ''}advisories (of {known.dates})",
        fix=_fix(requirement, met[0], known),
        severity=met[0].advisory.severity,
        place=requirement.place,
        trace=tuple(f"{hit.advisory.id}: {hit.advisory.title}" for hit in met),
        references=(*_ids(met), *KnownVulnerable.card.threats),
    )


def _ids(met: Sequence[Hit]) -> tuple[str, ...]:
    names = (name for hit in met for name in (hit.advisory.id, *hit.advisory.aliases))
    return tuple(dict.fromkeys(name for name in names if name.startswith(("CVE-", "GHSA-", "PYSEC-", "MAL-"))))


def _fix(requirement: Requirement, hit: Hit, known: Snapshot) -> str:
    version = version_of(requirement)
    if hit.advisory.malicious and not hit.fix:
        return f"remove {requirement.name}, and treat every machine that installed it as taken over"
    if not hit.fix:
        return f"no fixed release is named: replace {requirement.name}, or keep hostile input from it"
    free = safe_release(requirement.name, version, known) if version is not None else ""
    return f"update to {requirement.name} {hit.fix} or later" + (
        f"; {free} is the first without a known weakness" if free and free != hit.fix else ""
    )
