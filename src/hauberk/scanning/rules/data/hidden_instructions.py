"""Instructions aimed at a model, and invisible characters, in the texts of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import counted, rows_in_words


class HiddenInstructions:
    """Report texts that tell a model to ignore instructions, to keep things from the user, or that hide characters.

    What: the data speaks to whatever model reads it.
    Why: retrieved or trained on, such a text steers the model: indirect prompt injection, poisoned instructions.
    Fix: read the rows; drop them, or keep them as labelled attack samples only.
    """

    card: ClassVar[Card] = Card(
        title="Instructions to a model in the data",
        summary="A text of the data tells a model what to do, or holds characters nobody sees.",
        threats=("OWASP-LLM01", "OWASP-LLM04", "AML.T0051", "AML.T0020"),
        severity="medium",
        reads=("table.sayings",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Word each column and kind."""
        for found in table.sayings:
            kind, _, what = found.kind.partition(":")
            if kind == "hidden":
                yield DataDraft(
                    message=f"a text of {found.column} {what} in {counted(found.rows.count)}: "
                    f"{rows_in_words(found.rows)}",
                    fix="read these rows; drop them unless they are meant as samples of attacks",
                    column=found.column,
                    rows=found.rows,
                    confidence="medium",
                )
