"""Hold the facts of a data set to every rule that reads them, and measure what is a number."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import cast

import msgspec

from hauberk.core.evidence import Digest, Finding, Location, Measurement, Severity, Skipped
from hauberk.core.plugins import Listing, catalog, load
from hauberk.core.provenance import Stamp
from hauberk.core.tables import Rows
from hauberk.scanning.printable import plain
from hauberk.scanning.tables.engine import Examined
from hauberk.scanning.tables.facts import DataDraft, DataRule, TableFacts

RECIPE = "scanning.data"
PER_RULE = 50
"""Findings of one rule that are listed for one data set: a table may have thousands of columns."""


@cache
def data_rules() -> tuple[Listing, ...]:
    """List the rules that read facts of data sets."""
    return tuple(entry for entry in catalog("rules") if any(fact.startswith("table.") for fact in entry.card.reads))


def judged(found: Examined, stamp: Stamp, rules_off: tuple[str, ...] = ()) -> Iterator[Finding | Measurement | Skipped]:
    """Yield what is wrong with a data set, what was not looked at, and what was counted."""
    facts, digests = found.facts, found.digests
    root = (Digest(name=f"{facts.path} rows", value=facts.root),) if facts.root else ()
    named = (*(Digest(name=f"{facts.path} {digest.name}", value=digest.value) for digest in digests), *root)
    for entry in data_rules():
        if any(fnmatchcase(entry.name, off) for off in rules_off):
            continue
        try:
            rule = cast(DataRule, load("rules", entry.name)())
            drafts = list(rule.check(facts))
        except Exception as error:  # noqa: BLE001 - one rule's bug must not hide what the others find
            reason = f"the rule {entry.name} failed: {type(error).__name__}: {str(error)[:200]}"
            yield Skipped(subject=facts.path, reason=plain(reason), kind="error", provenance=stamp.of(RECIPE))
            continue
        for draft in drafts[:PER_RULE]:
            yield _finding(entry, draft, facts, named, stamp)
        if len(drafts) > PER_RULE:
            reason = f"{len(drafts) - PER_RULE} more findings of {entry.name} are not listed"
            yield Skipped(subject=facts.path, reason=reason, kind="scope", provenance=stamp.of(RECIPE))
    yield from _gaps(facts, stamp)
    yield from _measured(facts, named, stamp)


def _finding(entry: Listing, draft: DataDraft, facts: TableFacts, digests: tuple[Digest, ...], stamp: Stamp) -> Finding:
    return Finding(
        rule=entry.name,
        severity=draft.severity or cast(Severity, entry.card.severity or "medium"),
        confidence=draft.confidence,
        location=Location(path=facts.path, part=plain(f"column {draft.column}") if draft.column else ""),
        message=plain(draft.message),
        fix=plain(draft.fix),
        provenance=msgspec.structs.replace(stamp.of(entry.name), digests=digests),
        trace=(*_listed(draft.rows), *(plain(line) for line in draft.trace)),
        references=entry.card.threats,
    )


def _listed(rows: Rows) -> tuple[str, ...]:
    """Write the first row ids as one line of the trace."""
    if not rows.first:
        return ()
    more = f" … {rows.count} in all" if rows.count > len(rows.first) else ""
    return ("rows " + ", ".join(str(row) for row in rows.first) + more,)


def _gaps(facts: TableFacts, stamp: Stamp) -> Iterator[Skipped]:
    for fault in facts.faults:
        if fault.kind == "limit":
            yield Skipped(
                subject=facts.path,
                reason=plain(fault.message),
                kind="limit",
                fix="cut the data into parts",
                provenance=stamp.of(RECIPE),
            )
    if facts.repeats is not None and facts.repeats.sampled and facts.label:
        yield Skipped(
            subject=facts.path,
            reason="equal rows with different labels were not looked for: too many rows to keep a key of each",
            kind="scope",
            fix="audit the data in parts",
            provenance=stamp.of(RECIPE),
        )
    if 0 < facts.sample < facts.rows:
        yield Skipped(
            subject=facts.path,
            reason=f"labels, outliers, near duplicates, leaks and order were judged on a fair sample of "
            f"{facts.sample:,} of {facts.rows:,} rows",
            kind="scope",
            fix="give a larger sample: the work grows with its square",
            provenance=stamp.of(RECIPE),
        )


def _measured(facts: TableFacts, digests: tuple[Digest, ...], stamp: Stamp) -> Iterator[Measurement]:
    """Count what is counted on all rows; shares are exact, so their interval is the value itself."""
    cells = sum(column.rows for column in facts.columns)
    gaps = sum(column.missing.count for column in facts.columns)
    rows: list[tuple[str, float, int, str]] = [("data_rows", float(facts.rows), facts.rows, "rows")]
    rows.append(("data_columns", float(len(facts.columns)), len(facts.columns), "columns"))
    if cells:
        rows.append(("data_missing_share", gaps / cells, cells, "share"))
    if facts.repeats is not None and facts.rows:
        rows.append(("data_duplicate_share", facts.repeats.rows.count / facts.rows, facts.rows, "share"))
    if facts.suspects is not None:
        rows.append(
            ("data_suspect_label_share", facts.suspects.likely.count / facts.suspects.of, facts.suspects.of, "share")
        )
    for name, value, n, unit in rows:
        yield Measurement(
            name=name,
            subject=facts.path,
            value=value,
            low=value,
            high=value,
            level=1.0,
            method="exact",
            n=n,
            population=facts.rows,
            unit=unit,
            better="lower" if unit == "share" else "neither",
            role="diagnostic",
            note=f"by {facts.suspects.source}" if name == "data_suspect_label_share" and facts.suspects else "",
            provenance=msgspec.structs.replace(stamp.of(RECIPE), digests=digests),
        )
