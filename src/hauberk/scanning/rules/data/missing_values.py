"""Columns with many missing values, or with stand-ins for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import rows_in_words, share

_SHARE = 1 / 3
_STAND_IN = 0.5


class MissingValues:
    """Report columns of which a third has no value and no `missing` is declared, and stand-ins for a gap.

    What: values are missing, openly or as "?" and -999.
    Why: what is missing often depends on what is to be learnt; stand-ins become categories of their own.
    Fix: say how many may be missing, and write gaps as gaps.
    """

    card: ClassVar[Card] = Card(
        title="Many missing values",
        summary="A large share of a column has no value, and nobody declared it.",
        threats=("CWE-20",),
        severity="low",
        reads=("table.columns",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Look at gaps nobody declared."""
        declared = {found.column for found in table.expectations if found.check == "missing"}
        for column in table.columns:
            gaps = column.missing
            if column.name not in declared and column.present and gaps.count >= _SHARE * column.rows:
                yield DataDraft(
                    message=f"{column.name} has no value in {share(gaps.count, column.rows)}",
                    fix=f"declare how many may be missing: data.columns.{column.name}.missing",
                    column=column.name,
                    rows=gaps,
                )
            if column.blank and column.blank.count < _STAND_IN * column.present:
                yield DataDraft(
                    message=f"{column.name} holds a stand-in for a gap in {share(column.blank.count, column.rows)}: "
                    f"{rows_in_words(column.blank)}",
                    fix="write a missing value as nothing",
                    column=column.name,
                    rows=column.blank,
                )
