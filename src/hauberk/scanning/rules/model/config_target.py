"""Classes and functions that a configuration has Hydra and its like call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.settings_standing import SettingsStanding, settings_standing

_SEVERITIES: dict[SettingsStanding, Severity] = {
    "runs": "critical",
    "acts": "high",
    "foreign": "high",
    "loads": "medium",
}


class ConfigTarget:
    """Judge every `_target_`: what instantiating the configuration would call.

    What: a target that runs code, starts processes or reaches files (critical), one of Python's own library that does
    more than hold values (high), a loader of a framework that can run code (medium), or one that is not written in the
    file but put together (low).
    Why: `hydra.utils.instantiate` calls whatever the file names, with the file's arguments; model archives carry such
    files (CVE-2025-23304 in NeMo). A configuration that came with a model is a program.
    Bad: `_target_: os.system`
    Good: `_target_: torch.optim.AdamW`
    Fix: hold every `_target_` against a list of your own classes before instantiating.
    """

    card: ClassVar[Card] = Card(
        title="Dangerous target in a configuration",
        summary="A configuration names a callable that runs code, to be called when it is instantiated.",
        paper="CWE-470; CWE-94; CVE-2025-23304; MITRE ATLAS AML.T0011",
        threats=("CWE-470", "CWE-94", "AML.T0010", "AML.T0011", "CVE-2025-23304"),
        severity="critical",
        reads=("lookups",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Yield one draft for each target that is not a plain class."""
        told: set[str] = set()
        for fact in artifact.lookups:
            dotted = f"{fact.module}.{fact.name}" if fact.module else fact.name
            if fact.kind != "hydra" or dotted in told:
                continue
            told.add(dotted)
            severity = "low" if "${" in dotted else _SEVERITIES.get(settings_standing(dotted.strip()))
            if severity:
                yield Draft(
                    message=f"instantiating this configuration calls {dotted[:200]}{fact.arguments[:120]}",
                    fix="hold every _target_ against a list of your own classes before instantiating",
                    severity=severity,
                    place=fact.place,
                    trace=(f"{fact.where or 'top'}: {dotted} {fact.arguments}"[:300],),
                )
