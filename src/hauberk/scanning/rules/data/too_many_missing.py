"""Columns in which more values are missing than is declared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import broken


class TooManyMissing:
    """Report columns whose share of missing values is above `missing`; null, NaN and the usual words count once.

    What: a source stopped delivering, or rows were blanked.
    Why: a model fills the gap with what it learnt to be usual, silently.
    Fix: mend the source; `hauberk data repair` can impute.
    """

    card: ClassVar[Card] = Card(
        title="More missing values than declared",
        summary="More rows of a column are without a value than hauberk.toml allows.",
        threats=("CWE-20", "AML.T0020"),
        severity="high",
        reads=("table.expectations",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Look at what was declared."""
        fix = "mend the source of the column, impute with `hauberk data repair`, or raise missing in hauberk.toml"
        yield from broken(table, ("missing",), "have no value ({declared} may)", fix)
