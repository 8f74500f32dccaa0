"""Repeated values in a column that is declared unique."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import broken


class NotUnique:
    """Report rows that repeat an earlier value of a column with `unique = true`.

    What: two rows bear one identifier.
    Why: one person counts twice, and rows cannot be told apart when one must be deleted.
    Fix: drop the repeats with `hauberk data repair`, or mend the identifiers.
    """

    card: ClassVar[Card] = Card(
        title="Values that are not unique",
        summary="A column declared unique holds a value twice.",
        threats=("CWE-20", "AML.T0020"),
        severity="high",
        reads=("table.expectations",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Look at what was declared."""
        fix = "drop the repeats with `hauberk data repair`, or mend the identifiers"
        yield from broken(table, ("unique",), "repeat an earlier value", fix)
