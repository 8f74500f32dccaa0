"""Equal rows that bear different labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import rows_in_words, share

_FEW = 0.001


class ConflictingLabels:
    """Report rows whose features stand in an earlier row with another label.

    What: at least one of the labels is wrong, or a feature is missing.
    Why: no model can be right on both; a poisoner who flips the label of a copied row leaves this trace.
    Fix: settle the label of each group, or drop it.
    """

    card: ClassVar[Card] = Card(
        title="Equal rows with different labels",
        summary="Rows that are equal in every feature bear different labels.",
        threats=("AML.T0020", "OWASP-ML02"),
        severity="medium",
        reads=("table.conflicts",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Look at equal rows."""
        found = table.conflicts
        if found is None or not found.rows:
            return
        pairs = tuple(
            f"rows {first} and {second} are equal, their labels are not" for first, second, *_ in found.groups[:8]
        )
        few = found.rows.count < _FEW * found.known
        yield DataDraft(
            message=f"{share(found.rows.count, found.known)} have the features of an earlier row and another label: "
            f"{rows_in_words(found.rows)}",
            fix="settle the label of each pair, or drop both",
            rows=found.rows,
            severity="low" if few else None,
            trace=pairs,
        )
