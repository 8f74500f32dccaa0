"""Rows that stand in an order that tells something."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts


class OrderedRows:
    """Report labels that stand in blocks, and numbers that rise or fall along the file.

    What: the order of rows hangs together with what they hold.
    Why: a split or a batch by position sees other data than the rest; a block at the end may have been added.
    Fix: shuffle with a fixed seed before splitting, or split by time on purpose.
    """

    card: ClassVar[Card] = Card(
        title="Rows in an order that tells something",
        summary="Rows stand sorted or drift along the file.",
        paper="Wald & Wolfowitz 1940; Spearman 1904",
        threats=("CWE-1288",),
        severity="info",
        reads=("table.order",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Word each column."""
        for found in table.order:
            how = "equal labels stand together" if found.column == table.label else "it rises or falls along the file"
            yield DataDraft(
                message=f"{found.column}: {how} (strength {found.statistic:.2f} of 1, p < 1e-6, {found.of:,} rows)",
                fix="shuffle with a fixed seed before splitting, or split by time on purpose",
                column=found.column,
            )
