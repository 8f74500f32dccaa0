"""Baselines: the findings an old project starts with, so that only new ones count."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from hauberk.core.errors import UsageError
from hauberk.core.evidence import Evidence, Finding
from hauberk.core.fingerprint import fingerprint, fingerprints

VERSION = 1
_IN = "in the baseline"
_FIX = "write one with `hauberk scan --write-baseline FILE`"


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One finding of the baseline; the fingerprint identifies it, the rest is for people."""

    fingerprint: str
    rule: str
    path: str
    message: str


class Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was there on a day."""

    version: int
    made: dt.date
    findings: tuple[Known, ...]

    def applied(self, entries: Iterable[Evidence]) -> Iterator[Evidence]:
        """Mark the findings that the baseline knows; a second equal one in the same file is new."""
        known, seen = {one.fingerprint for one in self.findings}, Counter[str]()
        for entry in entries:
            if isinstance(entry, Finding) and not entry.ignored:
                mark = fingerprint(entry)
                seen[mark] += 1
                own = mark if seen[mark] == 1 else f"{mark}:{seen[mark]}"
                yield msgspec.structs.replace(entry, ignored=f"{_IN} of {self.made}") if own in known else entry
            else:
                yield entry


def read_baseline(path: Path) -> Baseline:
    """Read a baseline; raises UsageError where it is none."""
    try:
        made = msgspec.json.decode(path.read_bytes(), type=Baseline)
    except OSError as error:
        raise UsageError(f"the baseline cannot be read: {error.strerror}", where=str(path), fix=_FIX) from error
    except msgspec.DecodeError as error:
        raise UsageError(f"not a baseline: {error}", where=str(path), fix=_FIX) from error
    if made.version != VERSION:
        raise UsageError(f"a baseline of version {made.version}; this is {VERSION}", where=str(path), fix=_FIX)
    return made


def write_baseline(path: Path, findings: Sequence[Finding], day: dt.date) -> int:
    """Write the findings nobody has ignored yet as a baseline; returns how many."""
    open_ = [one for one in findings if not one.ignored or one.ignored.startswith(_IN)]
    rows = [
        Known(fingerprint=mark, rule=one.rule, path=one.location.path, message=one.message)
        for one, mark in zip(open_, fingerprints(open_), strict=True)
    ]
    rows.sort(key=lambda row: (row.path, row.rule, row.fingerprint))
    made = Baseline(version=VERSION, made=day, findings=tuple(rows))
    try:
        path.write_text(json.dumps(msgspec.to_builtins(made), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(path)) from error
    return len(rows)
