"""Data sets and columns that hold nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts


class Empty:
    """Report data without rows, and columns without a single value.

    What: a file is empty, or a column is missing throughout.
    Why: a job that found nothing to do reports success.
    Fix: look at what wrote it; drop a column that is never filled.
    """

    card: ClassVar[Card] = Card(
        title="Data without rows",
        summary="There is no row, or no value, in the data or in one of its columns.",
        threats=("CWE-20",),
        severity="medium",
        reads=("table.columns", "table.kind"),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Look for nothing."""
        if table.rows == 0 and not any(fault.kind in ("malformed", "truncated", "limit") for fault in table.faults):
            yield DataDraft(message="there is no row", fix="look at what wrote it", severity="high")
            return
        for column in table.columns:
            if column.rows and column.present == 0 and not column.words:
                yield DataDraft(
                    message=f"{column.name} has no value in any row",
                    fix="drop the column, or bring its source back",
                    column=column.name,
                )
