"""A dependency's name is one slip away from a popular package."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft
from hauberk.scanning.package_names import meant


class NearMiss:
    """Find names that differ from a popular AI package by one letter, and names that language models invent.

    Such names are registered by attackers who wait for a slip (typosquatting) or for a model's invention
    (slopsquatting). It may also be an innocent package: read who owns it before installing.
    """

    card: ClassVar[Card] = Card(
        title="Near miss of a popular name",
        summary="A dependency's name is one slip away from a popular package.",
        paper="CWE-1357; OWASP LLM03 and LLM09; MITRE ATLAS AML.T0010.001",
        threats=("CWE-1357", "OWASP-LLM03", "AML.T0010.001"),
        severity="medium",
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Compare every name with the popular ones."""
        if artifact.format == "lockfile":
            return
        for item in artifact.requirements:
            popular = meant(item.name) if item.name else None
            if popular is not None:
                yield Draft(
                    message=f"{item.name} is not {popular}, which its name is close to",
                    fix=f"write {popular}, or make sure who owns {item.name}",
                    confidence="low",
                    place=item.place,
                )
