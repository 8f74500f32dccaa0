"""Columns that are declared and not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts


class MissingColumn:
    """Report columns that [data.columns] declares and the data lacks, and a label column that is not there.

    What: the data has another layout than declared.
    Why: everything that was to be checked of it was not.
    Fix: correct the name, or bring the column back.
    """

    card: ClassVar[Card] = Card(
        title="Declared column that is not there",
        summary="A column of hauberk.toml is not in the data.",
        threats=("CWE-20", "AML.T0020"),
        severity="high",
        reads=("table.absent",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Compare names."""
        for name in table.absent:
            yield DataDraft(
                message=f"there is no column {name}; what is declared of it was not checked",
                fix="correct its name in hauberk.toml, or bring the column back",
                column=name,
            )
