"""National, tax and medical numbers in the columns of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.pii.sayings import drafts
from hauberk.scanning.tables.facts import DataDraft, TableFacts


class PersonalIdentity:
    """Report columns that hold national, tax or medical numbers.

    What: numbers that name one person are part of the data.
    Why: they identify people for life, and a model trained on them can give them away.
    Fix: drop the column, or mask it (`hauberk data mask`).
    """

    card: ClassVar[Card] = Card(
        title="National, tax and medical numbers in the data",
        summary="A column holds national, tax or medical numbers.",
        threats=("CWE-359", "OWASP-LLM02", "AML.T0057"),
        severity="high",
        reads=("table.sayings",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Word each column and kind; never a value."""
        yield from drafts(
            table,
            (
                "national id",
                "tax number",
                "medical id",
            ),
        )
