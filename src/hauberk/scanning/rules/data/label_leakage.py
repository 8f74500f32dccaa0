"""Features that give the label away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts


class LabelLeakage:
    """Report columns by which alone nearly every held-out row's label is told.

    What: a feature is the label in disguise, or was written after it.
    Why: the model learns the leak, and fails where the feature is not yet known.
    Fix: leave the column out (ignore = true), unless it is known when the model is asked.
    """

    card: ClassVar[Card] = Card(
        title="Feature that gives the label away",
        summary="One column alone tells the label in nearly every held-out row.",
        paper="Kaufman et al. 2012, TKDD 6(4)",
        threats=("CWE-1288",),
        severity="medium",
        reads=("table.leaks",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Word each column."""
        for found in table.leaks:
            yield DataDraft(
                message=f"{found.column} alone tells the label: it mends {found.power:.0%} of the errors of naming the "
                f"largest class",
                fix=f"set ignore = true for data.columns.{found.column}, unless it is known when the model is asked",
                column=found.column,
                confidence="medium",
            )
