"""Rows that are there twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import rows_in_words, share

_MANY = 0.1


class DuplicateRows:
    """Report rows equal to an earlier one, label included, identifiers aside; images by their bytes.

    What: the same example is there several times.
    Why: a random split puts copies on both sides, so accuracy flatters; repeating a row is also the cheapest poisoning.
    Fix: drop the repeats with `hauberk data repair`, before the data is split.
    """

    card: ClassVar[Card] = Card(
        title="Duplicate rows",
        summary="Rows repeat an earlier row in every column but identifiers.",
        threats=("CWE-1288", "AML.T0020", "OWASP-ML02"),
        severity="low",
        reads=("table.repeats",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Look at repeats."""
        found = table.repeats
        if found is None or not found.rows:
            return
        about = "about " if found.sampled else ""
        groups = tuple("rows " + " = ".join(str(row) for row in group[:6]) for group in found.groups[:8])
        yield DataDraft(
            message=f"{about}{share(found.rows.count, found.known)} repeat an earlier row: {rows_in_words(found.rows)}",
            fix="drop the repeats with `hauberk data repair`, before the data is split",
            rows=found.rows,
            severity="medium" if found.rows.count > _MANY * found.known else None,
            trace=groups,
        )
