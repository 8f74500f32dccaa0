"""Values that are none of those their column is declared to have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import broken


class UnexpectedValue:
    """Report values that are not among a column's `categories`, and labels not among `classes` of [data].

    What: a row holds a value nobody declared.
    Why: a new category reaches the model as something it never saw; a new label is an error or an attack.
    Fix: mend the rows, or add the category and train again.
    """

    card: ClassVar[Card] = Card(
        title="Value outside the declared set",
        summary="A value is none of the categories that hauberk.toml declares for its column.",
        threats=("CWE-20", "AML.T0020"),
        severity="high",
        reads=("table.expectations",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Look at what was declared."""
        fix = "mend the rows, or add the value to categories and train again"
        yield from broken(table, ("values",), "are not {declared}", fix)
