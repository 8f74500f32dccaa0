"""Pictures and texts that are nearly there twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import rows_in_words, share


class NearDuplicates:
    """Report pictures whose thumbnails almost coincide, and texts that share four fifths of their three-word phrases.

    What: one example is there in several guises.
    Why: copies with a small change slip past a search for duplicates, leak into the test, or carry a trigger.
    Fix: keep one of each group; look at what the copies differ in.
    """

    card: ClassVar[Card] = Card(
        title="Near duplicates",
        summary="Pictures or texts that are almost the same as another.",
        paper="Broder 1997; Zauner 2010",
        threats=("CWE-1288", "AML.T0020"),
        severity="low",
        reads=("table.near",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Look at what comparing the sample gave."""
        found = table.near
        if found is None or not found.rows:
            return
        pairs = tuple(f"rows {first} ≈ {second}" for first, second, *_ in found.groups[:8])
        yield DataDraft(
            message=f"{share(found.rows.count, found.known)} are nearly equal to another: {rows_in_words(found.rows)}",
            fix="keep one of each group, and look at what the others differ in",
            rows=found.rows,
            confidence="medium",
            trace=pairs,
        )
