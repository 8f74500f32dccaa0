"""Columns that hold one value throughout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts

_MEANT = ("width", "height", "channels", "not_finite", "light", "shade")
"""What a reader says of pictures, which are often of one size."""


class ConstantColumn:
    """Report columns with a value and only one.

    What: the column tells nothing apart.
    Why: a filter upstream, or a default that is never overwritten.
    Fix: drop the column, or find out why it never changes.
    """

    card: ClassVar[Card] = Card(
        title="Column of one value",
        summary="Every row has the same value in a column.",
        threats=("CWE-1288",),
        severity="info",
        reads=("table.columns",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Count different values."""
        for column in table.columns:
            if column.name == table.label or column.name in _MEANT:
                continue
            if column.exact and column.distinct == 1 and column.rows > 1:
                yield DataDraft(
                    message=f"{column.name} has the same value in every row that has one",
                    fix="drop the column, or find out why it never changes",
                    column=column.name,
                )
