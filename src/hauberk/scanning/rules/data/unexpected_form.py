"""Texts that do not fit the pattern or length their column is declared to have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import broken


class UnexpectedForm:
    """Report texts that do not fit `pattern` as a whole, or are longer than `longest`.

    What: a text has another form than declared.
    Why: truncated, shifted or injected cells show in their form first.
    Fix: mend the rows, or correct the pattern.
    """

    card: ClassVar[Card] = Card(
        title="Text of another form than declared",
        summary="A text does not fit the pattern or length that hauberk.toml declares for its column.",
        threats=("CWE-20", "AML.T0020"),
        severity="high",
        reads=("table.expectations",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Look at what was declared."""
        fix = "mend the rows, or correct pattern or longest in hauberk.toml"
        yield from broken(table, ("pattern", "length"), "do not fit the declared form", fix)
