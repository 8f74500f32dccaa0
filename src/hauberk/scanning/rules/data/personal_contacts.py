"""E-mail, telephone and network addresses in the columns of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.pii.sayings import drafts
from hauberk.scanning.tables.facts import DataDraft, TableFacts


class PersonalContacts:
    """Report columns that hold e-mail, telephone or network addresses.

    What: people can be reached, or their machines told apart, by the data.
    Why: they identify people directly, and join this data with other data.
    Fix: drop the column, or mask it (`hauberk data mask`).
    """

    card: ClassVar[Card] = Card(
        title="E-mail, telephone and network addresses in the data",
        summary="A column holds e-mail, telephone or network addresses.",
        threats=("CWE-359", "OWASP-LLM02", "AML.T0057"),
        severity="medium",
        reads=("table.sayings",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Word each column and kind; never a value."""
        yield from drafts(
            table,
            (
                "e-mail",
                "phone",
                "network address",
            ),
        )
