"""Features that name rows instead of describing them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts


class IdentifierColumn:
    """Report whole-number or text columns, other than the label, whose every value is different.

    What: an identifier is among the features.
    Why: a model can learn rows by heart by it, its order often gives the label away, and it may name a person.
    Fix: say ignore = true for it, or unique = true where it is meant as an identifier.
    """

    card: ClassVar[Card] = Card(
        title="Column that names rows",
        summary="A feature has another value in every row: an identifier or a row number.",
        threats=("CWE-1288", "OWASP-ML04"),
        severity="low",
        reads=("table.columns",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Count different values; columns declared unique or left out are meant so."""
        meant = {found.column for found in table.expectations if found.check == "unique"}
        for column in table.columns:
            if column.name in meant or column.name == table.label or column.name in ("file", "hash", "content"):
                continue
            names = column.distinct >= 0.97 * column.present if not column.exact else column.distinct == column.present
            numbered = column.kind == "number" and column.whole and column.rising
            word = column.kind == "text" and (column.longest or 0) <= 64
            if column.present >= 50 and names and (numbered or word):
                yield DataDraft(
                    message=f"{column.name} has another value in every row: it names rows, it does not describe them",
                    fix=f"set ignore = true for data.columns.{column.name}, or unique = true where it is meant so",
                    column=column.name,
                    confidence="high" if column.exact else "medium",
                )
