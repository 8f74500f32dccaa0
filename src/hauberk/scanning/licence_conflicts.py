"""Licences of a project's parts held against its own: findings over the whole inventory, once it is complete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from hauberk.core.evidence import Finding, Location
from hauberk.core.inventory import Component
from hauberk.core.provenance import Stamp
from hauberk.scanning.licences import conflict

RULE = "licences.conflict"


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


def licence_conflicts(inventory: Sequence[Component], stamp: Stamp) -> Iterator[Finding]:
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
                    fix=f"replace {item.name}, ask its owner for another licence, or keep it out of what is published",
                    provenance=stamp.of(RULE),
                    references=("NIST-AI-600-1",),
                )
