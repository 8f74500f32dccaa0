"""Numbers of another kind than their column is declared to hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import broken


class WrongKind:
    """Report fractions in columns of kind integer, and numbers but 0 and 1 in boolean ones.

    What: the column changed its meaning.
    Why: a fraction in a count is a sign of imputing or of mixed units.
    Fix: mend the rows, or declare the kind they have.
    """

    card: ClassVar[Card] = Card(
        title="Numbers of another kind than declared",
        summary="A column declared integer or boolean holds other numbers.",
        threats=("CWE-20", "AML.T0020"),
        severity="high",
        reads=("table.expectations",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Look at what was declared."""
        fix = "mend the rows, or declare the kind they have"
        yield from broken(table, ("kind",), "are not {declared}", fix)
