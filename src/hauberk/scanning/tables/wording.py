"""How rules speak of rows: by number, never by value."""

from __future__ import annotations

from collections.abc import Iterator

from hauberk.core.evidence import Severity
from hauberk.core.tables import Rows
from hauberk.scanning.tables.facts import Check, DataDraft, TableFacts

_SHOWN = 5


def rows_in_words(rows: Rows) -> str:
    """Word some rows: "row 3", "rows 3, 7 and 12 more"."""
    if not rows.first:
        return counted(rows.count)
    if rows.count == 1:
        return f"row {rows.first[0]}"
    shown = ", ".join(str(row) for row in rows.first[:_SHOWN])
    more = rows.count - min(len(rows.first), _SHOWN)
    return f"rows {shown}" + (f" and {more:,} more" if more > 0 else "")


def counted(count: int, what: str = "row") -> str:
    """Word a count: "1 row", "1,200 rows"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def share(count: int, of: int) -> str:
    """Word a share: "12 of 1,000 rows (1.2 %)"."""
    return f"{count:,} of {of:,} rows ({100 * count / of:.2g} %)" if of else counted(count)


def broken(
    table: TableFacts, checks: tuple[Check, ...], what: str, fix: str, severity: Severity | None = None
) -> Iterator[DataDraft]:
    """Draft a finding for each expectation of some kinds that does not hold; "{declared}" in `what` is filled."""
    for found in table.expectations:
        if found.check in checks and not found.holds:
            yield DataDraft(
                message=f"{'about ' if found.estimated else ''}{share(found.broken.count, found.of)} of {found.column} "
                f"{what.format(declared=found.declared)}: {rows_in_words(found.broken)}",
                fix=fix,
                column=found.column,
                rows=found.broken,
                severity=severity,
            )
