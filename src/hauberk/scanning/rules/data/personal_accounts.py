"""Payment cards and bank accounts in the columns of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.pii.sayings import drafts
from hauberk.scanning.tables.facts import DataDraft, TableFacts


class PersonalAccounts:
    """Report columns that hold payment cards, bank accounts or wallets.

    What: numbers that pay are part of the data.
    Why: whoever gets the data can pay with them, and a model can repeat them word for word.
    Fix: drop the column, or mask it (`hauberk data mask`).
    """

    card: ClassVar[Card] = Card(
        title="Payment cards and bank accounts in the data",
        summary="A column holds payment cards, bank accounts or wallets.",
        threats=("CWE-359", "OWASP-LLM02", "AML.T0057"),
        severity="high",
        reads=("table.sayings",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Word each column and kind; never a value."""
        yield from drafts(
            table,
            (
                "card",
                "bank account",
                "wallet",
            ),
        )
