"""Rows far from all others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import rows_in_words, share


class Outlier:
    """Report rows whose distance to their neighbours, or whose tails, lie eight robust deviations above the median.

    What: a row is unlike all others.
    Why: a wrong unit, a broken picture, or a row made to pull a boundary.
    Fix: look at the rows; drop them or explain them.
    """

    card: ClassVar[Card] = Card(
        title="Rows far from all others",
        summary="Rows lie far from their neighbours, or in the tails of their columns.",
        paper="Li et al. 2022 (ECOD); Goldstein & Dengel 2012 (HBOS); Ramaswamy et al. 2000",
        threats=("AML.T0020",),
        severity="info",
        reads=("table.outlying",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Word each way of measuring."""
        for found in table.outlying:
            yield DataDraft(
                message=f"{share(found.rows.count, found.of)} are outliers by {found.by}: {rows_in_words(found.rows)}",
                fix="look at these rows; drop them or explain them",
                rows=found.rows,
                confidence="medium",
            )
