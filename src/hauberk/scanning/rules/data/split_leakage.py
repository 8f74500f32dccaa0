"""Rows that stand on both sides of a split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import rows_in_words, share

_FEW = 0.01


class SplitLeakage:
    """Report rows of test or validation parts whose features stand in the training part.

    What: the test repeats what was learnt.
    Why: accuracy flatters, and membership figures mean nothing.
    Fix: drop the rows from the test part, and split by person or source.
    """

    card: ClassVar[Card] = Card(
        title="Test rows that were trained on",
        summary="Rows of one part of the data stand in another part too.",
        paper="Kapoor & Narayanan 2023, Patterns 4(9)",
        threats=("CWE-1288", "OWASP-ML04"),
        severity="high",
        reads=("table.overlaps",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Word each pair of parts."""
        for found in table.overlaps:
            yield DataDraft(
                message=f"{share(found.rows.count, found.of)} of part {found.part!r} stand in {found.other!r} too: "
                f"{rows_in_words(found.rows)}",
                fix=f"drop these rows from {found.part!r}, and split before anything is copied",
                rows=found.rows,
                severity="medium" if found.rows.count < _FEW * found.of else None,
            )
