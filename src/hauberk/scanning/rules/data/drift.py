"""Columns that differ from an earlier version of the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts

_CERTAIN = 0.01
_MODERATE, _LARGE = 0.1, 0.25
_DISTANCE = 0.1
_AREA, _APART = 0.6, 0.8


class Drift:
    """Report columns whose test stays significant with false discoveries held to 1 %, and whose change is large.

    What: the data is not what it was.
    Why: a model trained on the one is asked about the other; a slow shift is also how a feed is poisoned.
    Fix: find the cause; train again or send the new rows back.
    """

    card: ClassVar[Card] = Card(
        title="Drift since the earlier version",
        summary="Columns differ from the earlier version of the data more than chance explains.",
        paper="Benjamini & Hochberg 1995; Lopez-Paz & Oquab 2017",
        threats=("AML.T0020", "CWE-1288"),
        severity="low",
        reads=("table.shifts",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Word columns that differ both certainly and much."""
        for found in table.shifts:
            if found.q > _CERTAIN:
                continue
            if found.test == "classifier":
                if found.statistic >= _AREA:
                    yield DataDraft(
                        message=f"a classifier tells old rows from new: area {found.statistic:.2f}, 0.5 is chance",
                        fix="look at the columns that drifted, and at how they hang together",
                        severity="medium" if found.statistic >= _APART else None,
                    )
            elif found.psi >= _MODERATE or found.js >= _DISTANCE:
                yield DataDraft(
                    message=f"{found.column} drifted: {found.test} {found.statistic:.2f} (q = {found.q:.1g}), "
                    f"PSI {found.psi:.2f}, JS {found.js:.2f}"
                    + (f", moved by {found.wasserstein:.2f} deviations" if found.test == "ks" else ""),
                    fix="find the cause; train again on new rows, or send them back",
                    column=found.column,
                    severity="medium" if found.psi >= _LARGE else None,
                )
