"""Licences of a project's parts that cannot go with its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Finding, Location
from hauberk.core.inventory import Component
from hauberk.core.provenance import Stamp
from hauberk.scanning.licences import conflict

RULE = "licences.conflict"


class LicenceConflict:
    """Hold the licence of every part of the inventory against the project's own.

    What: a library under a licence that asks for more than the project's gives, a model or data set that forbids
    commercial use in a project that permits it.
    Why: what is published against a licence must be taken back.
    Bad: a GPL library in an MIT package that is handed out. Good: an Apache library in it.
    Fix: replace the part, ask its owner for another licence, or keep it out of what is published.
    """

    card: ClassVar[Card] = Card(
        title="Licences that do not go together",
        summary="A part's licence asks for what the project's own does not give.",
        paper="SPDX licence list; Open Source Automation Development Lab, licence compatibility matrix",
        threats=("NIST-AI-600-1",),
        severity="low",
        reads=("project.components",),
    )

    def check(self, inventory: Sequence[Component], stamp: Stamp) -> Iterator[Finding]:
        """Yield each part whose licence cannot go with the project's own; nothing where that is not known."""
        own = own_licence(inventory)
        for item in inventory if own else ():
            if item.kind == "application":
                continue
            for licence in item.licences:
                why = conflict(own, licence, linked=item.kind == "library")
                if why:
                    yield Finding(
                        rule=RULE,
                        severity="medium" if "commercial" in why else "low",
                        confidence="medium",
                        location=Location(path=item.path, line=item.line),
                        message=f"{item.name} is under {licence}, the project under {own}: {why}",
                        fix=f"replace {item.name}, ask its owner for another licence, or do not publish it",
                        provenance=stamp.of(RULE),
                        references=self.card.threats,
                    )


def own_licence(inventory: Sequence[Component]) -> str:
    """Return the project's own licence: of the project or licence file nearest to the root; empty where none is said.

    Files that declare one win over a licence text: authors choose "or later" there.
    """
    order = ("pyproject", "setuptools_files", "licence_text")
    rows = sorted(
        (len(PurePosixPath(item.path).parts), order.index(item.known("declared-in")), item.licences[0])
        for item in inventory
        if item.kind == "application" and item.licences and item.known("declared-in") in order
    )
    return rows[0][2] if rows and rows[0][0] == 1 else ""
