"""Parts of a data set that cannot be read as what they claim to be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.core.evidence import Severity
from hauberk.scanning.tables.facts import DataDraft, TableFacts
from hauberk.scanning.tables.wording import counted, rows_in_words

_SEVERITY: dict[str, Severity] = {"encoding": "medium", "ragged": "medium", "unreadable": "medium"}
_FIX = {
    "escape": "do not unpack it; ask its source for names that stay inside",
    "encoding": "save it as UTF-8 throughout",
    "ragged": "quote cells that hold the separator, and mend or drop these rows",
    "unreadable": "replace or drop these items",
}


class Unreadable:
    """Report broken and cut-off files, rows of another width, bytes that are no text, broken images, names that escape.

    What: the file is not what its name says, wholly or in places.
    Why: a reader that skips such rows silently trains on less, or on what an attacker chose to leave.
    Fix: write the file again from its source; refuse archives whose names lead outside.
    """

    card: ClassVar[Card] = Card(
        title="Data that cannot be read",
        summary="A part of the data cannot be read, or is cut off, or leads out of its folder.",
        threats=("CWE-20", "CWE-22"),
        severity="high",
        reads=("table.faults",),
    )

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Word every fault but those of safety bounds, which are what was not looked at."""
        for fault in table.faults:
            if fault.kind == "limit":
                continue
            where = f": {rows_in_words(fault.rows)}" if fault.rows.first else ""
            more = f" ({counted(fault.rows.count)})" if fault.rows.count > 1 and not fault.rows.first else ""
            yield DataDraft(
                message=f"{fault.message}{more}{where}",
                fix=_FIX.get(fault.kind, "write the data again from its source"),
                rows=fault.rows,
                severity=_SEVERITY.get(fault.kind),
            )
