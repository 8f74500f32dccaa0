"""A dependency's name is one slip away from a popular package."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.package_names import MAKES, disguised, likeness

_RESOLVED = ("lockfile", "installed_package")
_SEVERITY: dict[MAKES, Severity] = {"slip": "medium", "mistake": "medium", "letters": "medium", "affix": "low"}
_HOW: dict[MAKES, str] = {
    "slip": "one slip away from it",
    "mistake": "often written by mistake, or by a language model",
    "letters": "printed almost alike",
    "affix": "that name with a word added",
}


class NearMiss:
    """Find names one slip from a popular package, printed alike, with a word added, or that language models invent.

    What: `transfromers`, `t0rch`, `python-torch`, a Cyrillic `а`. Why: such names are registered by attackers who wait
    for a slip (typosquatting) or for a model's invention (slopsquatting). It may also be an innocent package, so the
    confidence is low: read who owns it before installing. Packages of a lock file were resolved and are left out.

    Bad: `transfromers==4.50.0`. Good: `transformers==4.53.0`. Fix: write the name that was meant.
    """

    card: ClassVar[Card] = Card(
        title="Near miss of a popular name",
        summary="A dependency's name is one slip away from a popular package.",
        paper="CWE-1357; OWASP LLM03 and LLM09; MITRE ATLAS AML.T0010.001",
        threats=("CWE-1357", "OWASP-LLM03", "AML.T0010.001"),
        severity="medium",
        reads=("requirements", "problems"),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Compare every name with the popular ones."""
        for item in artifact.requirements if artifact.format not in _RESOLVED else ():
            found = likeness(item.name) if item.name else None
            if found is not None:
                yield Draft(
                    message=f"{item.name} is not {found.popular}: it is {_HOW[found.how]}",
                    fix=f"write {found.popular}, or make sure who owns {item.name}",
                    severity=_SEVERITY[found.how],
                    confidence="low",
                    place=item.place,
                )
        for problem in artifact.problems:
            marker, _, text = problem.message.partition("not a requirement: ")
            name = disguised(text.split("=")[0].split(">")[0].split("<")[0].strip()) if text and not marker else None
            if name is not None:
                yield Draft(
                    message=f"a name that prints like {name} is written with letters of another script",
                    fix=f"write {name} in ASCII, and find out who wrote it otherwise",
                    severity="high",
                    place=problem.place,
                )
