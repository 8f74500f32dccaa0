"""Numbers outside the range their column is declared to have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import broken


class OutOfRange:
    """Report numbers below `low` or above `high` of [data.columns].

    What: a row breaks the declared range; infinite values do too, missing ones do not.
    Why: a wrong unit, a sensor's error code or a planted row looks exactly like this.
    Fix: mend or drop the rows (`hauberk data repair`), or widen the range where they are right.
    """

    card: ClassVar[Card] = Card(
        title="Value out of its declared range",
        summary="A number lies outside the range that hauberk.toml declares for its column.",
        threats=("CWE-20", "AML.T0020"),
        severity="high",
        reads=("table.expectations",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Look at what was declared."""
        fix = "mend or drop the rows with `hauberk data repair`, or widen low and high where they are right"
        yield from broken(table, ("range",), "lie outside {declared}", fix)
