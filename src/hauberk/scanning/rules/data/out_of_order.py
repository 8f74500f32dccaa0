"""Values that break the order their column is declared to have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import broken


class OutOfOrder:
    """Report rows that fall below (`ordered = "up"`) or rise above (`"down"`) the row before.

    What: a sequence runs backwards.
    Why: rows were inserted, replayed or shuffled after the fact.
    Fix: sort the rows, or find where the odd ones came from.
    """

    card: ClassVar[Card] = Card(
        title="Values out of their declared order",
        summary="A column that never falls (or rises) does.",
        threats=("CWE-20", "AML.T0020"),
        severity="high",
        reads=("table.expectations",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Look at what was declared."""
        fix = "sort the rows, or find out where the odd ones came from"
        yield from broken(table, ("ordered",), "break its order ({declared})", fix)
