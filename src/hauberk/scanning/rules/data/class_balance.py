"""Classes that are out of balance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts

_FEW, _RATIO = 5, 10


class ClassBalance:
    """Report a single class, classes with fewer than five rows, and ratios of ten or more.

    What: some class is hardly there.
    Why: accuracy then says little, and a handful of planted rows decides the small class.
    Fix: read recall by class; collect more of the small ones.
    """

    card: ClassVar[Card] = Card(
        title="Imbalanced or missing classes",
        summary="One class has ten times the rows of another, a class has hardly any, or there is only one.",
        threats=("OWASP-ML02",),
        severity="low",
        reads=("table.classes",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Count classes."""
        if not table.classes:
            return
        (most, largest), (least, smallest) = table.classes[0], table.classes[-1]
        if len(table.classes) == 1:
            yield DataDraft(
                message=f"every row has the label {most!r}",
                fix="a classifier needs rows of two classes or more: look at the label column",
                column=table.label,
                severity="high",
            )
        elif smallest < _FEW or largest >= _RATIO * smallest:
            yield DataDraft(
                message=f"{largest:,} rows are of class {most!r}, {smallest:,} of {least!r}",
                fix="read recall by class beside accuracy, and collect more of the small classes",
                column=table.label,
            )
