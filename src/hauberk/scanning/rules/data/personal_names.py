"""Names and dates of birth in the columns of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.pii.sayings import drafts
from hauberk.scanning.tables.facts import DataDraft, TableFacts


class PersonalNames:
    """Report columns that hold names of people or dates of birth.

    What: people are named in the data.
    Why: a name with a date of birth is one person in most places.
    Fix: drop the column, or mask it (`hauberk data mask`).
    """

    card: ClassVar[Card] = Card(
        title="Names and dates of birth in the data",
        summary="A column holds names of people or dates of birth.",
        threats=("CWE-359", "OWASP-LLM02", "AML.T0057"),
        severity="medium",
        reads=("table.sayings",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Word each column and kind; never a value."""
        yield from drafts(
            table,
            (
                "name",
                "date of birth",
            ),
        )
