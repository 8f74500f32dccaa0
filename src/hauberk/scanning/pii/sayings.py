"""How personal data in a column is worded: the kind, how many rows, which ones; never a value."""

from __future__ import annotations

from collections.abc import Iterator

from hauberk.scanning.pii.engine import INDEX, KINDS
from hauberk.scanning.pii.kinds import Family
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import counted, rows_in_words

FIX = "drop the column, or write it anew with `hauberk data mask`: masked, or as keyed pseudonyms"


def drafts(table: TableFacts, families: tuple[Family, ...], fix: str = FIX) -> Iterator[DataDraft]:
    """Draft a finding for each column that holds kinds of some families."""
    for saying in table.sayings:
        what, _, name = saying.kind.partition(":")
        if what != "personal" or name not in INDEX or KINDS[INDEX[name]].family not in families:
            continue
        yield DataDraft(
            message=f"{KINDS[INDEX[name]].title} stands in {saying.column} in {counted(saying.rows.count)}: "
            f"{rows_in_words(saying.rows)}",
            fix=fix,
            column=saying.column,
            rows=saying.rows,
            confidence="high" if saying.certain else "medium",
        )
