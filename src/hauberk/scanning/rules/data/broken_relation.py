"""Rows in which a declared relation between columns does not hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import broken


class BrokenRelation:
    """Report rows that break one of [data] relations, such as "total == a + b".

    What: parts and whole no longer agree.
    Why: one of the columns was changed without the others.
    Fix: recompute the columns from their source.
    """

    card: ClassVar[Card] = Card(
        title="Rows that break a declared relation",
        summary="A relation between columns that hauberk.toml declares does not hold in some rows.",
        threats=("CWE-20", "AML.T0020"),
        severity="high",
        reads=("table.expectations",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Look at what was declared."""
        fix = "recompute the columns from their source, or correct the relation"
        yield from broken(table, ("relation",), "break {declared}", fix)
