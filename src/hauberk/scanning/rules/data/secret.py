"""Keys, tokens and passwords in the texts of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import counted, rows_in_words


class Secret:
    """Report texts that hold a secret of a known provider's shape, or a value named password or token.

    What: a working credential is part of the data.
    Why: whoever gets the data gets the account, and a model can repeat it word for word.
    Fix: revoke it with its provider, then drop or mask it in every copy.
    """

    card: ClassVar[Card] = Card(
        title="Secret in the data",
        summary="A key, token or password stands in a text of the data.",
        threats=("CWE-798", "CWE-312", "OWASP-LLM02"),
        severity="high",
        reads=("table.sayings",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Word each column and kind; never the secret."""
        for found in table.sayings:
            kind, _, what = found.kind.partition(":")
            if kind == "secret":
                yield DataDraft(
                    message=f"{what} stands in {found.column} in {counted(found.rows.count)}: "
                    f"{rows_in_words(found.rows)}",
                    fix="revoke it with its provider now, then drop or mask it in every copy of the data",
                    column=found.column,
                    rows=found.rows,
                    severity=None if found.certain else "medium",
                    confidence="high" if found.certain else "medium",
                )
