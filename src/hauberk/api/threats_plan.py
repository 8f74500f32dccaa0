"""From a threat of the project file to the engine's plan: the same here and on a worker."""

from __future__ import annotations

from typing import cast

from hauberk.api.executing import chunk_of
from hauberk.api.subject import constrained
from hauberk.attacks.engine import Plan
from hauberk.core.plugins import build
from hauberk.core.policy import Policy
from hauberk.core.project import RunSection, ThreatSection
from hauberk.core.protocols import Dataset, EvasionAttack
from hauberk.core.threat import Threat


def threat_of(name: str, section: ThreatSection, dataset: Dataset) -> Threat:
    """Build a section's threat, with the columns' constraints where the data is a table."""
    return constrained(section.threat(name), section.changed, dataset)


def plan_of(
    run: RunSection, policy: Policy, threat: Threat, section: ThreatSection, exhibits: int, *, clean: bool = True
) -> Plan:
    """Say how hard a threat's section wants the engine to look."""
    return Plan(
        attacks=tuple(
            cast(EvasionAttack, build("attacks", name, section.settings.get(name))) for name in section.attacks
        ),
        profile=section.profile,
        samples=section.samples,
        precision=section.precision,
        gates=policy.bounds("robust_accuracy", threat.name) if section.decide else (),
        chunk=chunk_of(run, section),
        curve=section.radii(),
        exhibits=exhibits,
        clean=clean,
    )
