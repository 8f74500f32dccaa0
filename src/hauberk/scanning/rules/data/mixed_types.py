"""Columns in which values of several types stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import rows_in_words, share


class MixedTypes:
    """Report words among numbers, and infinite numbers.

    What: a few cells are not what the column is.
    Why: readers turn the whole column into text, or the cells into gaps, each in its own way.
    Fix: mend the cells, or declare the column categorical.
    """

    card: ClassVar[Card] = Card(
        title="Column of mixed types",
        summary="A column of numbers holds words, or numbers that are infinite.",
        threats=("CWE-20", "CWE-843"),
        severity="medium",
        reads=("table.columns",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Look at words and infinite values."""
        for column in table.columns:
            if column.words:
                yield DataDraft(
                    message=f"{column.name} holds numbers, and words in {share(column.words.count, column.rows)}: "
                    f"{rows_in_words(column.words)}",
                    fix='mend these cells, or say kind = "categorical"',
                    column=column.name,
                    rows=column.words,
                )
            if column.infinite:
                yield DataDraft(
                    message=f"{column.name} is infinite in {share(column.infinite.count, column.rows)}: "
                    f"{rows_in_words(column.infinite)}",
                    fix="mend these cells: no model can use them",
                    column=column.name,
                    rows=column.infinite,
                )
