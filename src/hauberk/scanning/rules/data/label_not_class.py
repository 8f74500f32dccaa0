"""Labels that are no classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.labels import CLASSES
from hauberk.scanning.tables.wording import rows_in_words, share


class LabelNotClass:
    """Report label columns of fractions or of more than 200 values, and rows without a label.

    What: what is to be learnt is no class.
    Why: what compares labels was not looked at; rows without one train nothing.
    Fix: name the right column in data.label; label or drop the rows.
    """

    card: ClassVar[Card] = Card(
        title="Label that is no class",
        summary="The label column holds measurements or names, or is missing in some rows.",
        threats=("CWE-20",),
        severity="medium",
        reads=("table.columns", "table.label"),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Look at the label column."""
        column = table.column(table.label)
        if column is None or not column.present:
            return
        if column.kind == "number" and not column.whole:
            message = f"{column.name} holds fractions: they are measurements, not classes; no label was judged"
            yield DataDraft(
                message=message, fix="name the class column in data.label", column=column.name, severity="low"
            )
        elif column.distinct > CLASSES:
            message = f"{column.name} has {column.distinct:,} different values: no label was judged"
            yield DataDraft(
                message=message, fix="name the class column in data.label", column=column.name, severity="low"
            )
        if column.missing:
            yield DataDraft(
                message=f"{share(column.missing.count, column.rows)} have no label: {rows_in_words(column.missing)}",
                fix="label these rows, or drop them with `hauberk data repair`",
                column=column.name,
                rows=column.missing,
            )
