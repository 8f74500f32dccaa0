"""Records of the Open Source Vulnerability format (OSV 1.x), read as advisories of Python packages."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator

import msgspec
from packaging.utils import canonicalize_name

from hauberk.core.evidence import Severity
from hauberk.scanning.advisory import Advisory, Range, parsed
from hauberk.scanning.severity_scores import of_text, of_vector, of_word

TITLE = 140


class _Package(msgspec.Struct):
    name: str = ""
    ecosystem: str = ""


class _Range(msgspec.Struct):
    type: str = ""
    events: list[dict[str, str]] = []


class _Affected(msgspec.Struct):
    package: _Package = msgspec.field(default_factory=_Package)
    ranges: list[_Range] = []
    versions: list[str] = []


class _Score(msgspec.Struct):
    type: str = ""
    score: str = ""


class Record(msgspec.Struct):
    """What is read of one OSV record; other fields are passed over."""

    id: str
    modified: dt.datetime | None = None
    withdrawn: dt.datetime | None = None
    aliases: list[str] = []
    summary: str = ""
    details: str = ""
    severity: list[_Score] = []
    affected: list[_Affected] = []
    database_specific: dict[str, object] = {}


def advisories(record: Record) -> Iterator[tuple[str, Advisory]]:
    """Yield (normalised package name, advisory) for each Python package the record names; none once withdrawn."""
    if record.withdrawn is not None:
        return
    severity, rated = _severity(record)
    for affected in record.affected:
        name = affected.package.name
        ranges = _ranges(affected)
        if affected.package.ecosystem == "PyPI" and name and ranges:
            yield (
                canonicalize_name(name),
                Advisory(record.id, tuple(record.aliases), ranges, severity, _title(record), "high", rated),
            )


def merged(rows: Iterable[Advisory]) -> tuple[Advisory, ...]:
    """Join the records of one package that name each other as aliases: one weakness, one row.

    Ranges and rating are those of the first rated record (GitHub's reviewed ones are); names are all names.
    """
    groups: list[list[Advisory]] = []
    where: dict[str, list[Advisory]] = {}
    for row in rows:
        home: list[Advisory] = []
        for known in {id(where[name]): where[name] for name in row.names if name in where}.values():
            home.extend(known)
            groups = [group for group in groups if group is not known]
        home.append(row)
        groups.append(home)
        where.update({name: home for one in home for name in one.names})
    return tuple(sorted((_joined(group) for group in groups), key=lambda row: row.id))


def _joined(group: list[Advisory]) -> Advisory:
    if len(group) == 1:
        return group[0]
    best = min(group, key=lambda row: (not row.rated, not row.id.startswith("GHSA-"), row.id))
    names = sorted({name for row in group for name in row.names} - {best.id})
    return msgspec.structs.replace(best, aliases=tuple(names))


def _severity(record: Record) -> tuple[Severity, bool]:
    if record.id.startswith("MAL-"):
        return "critical", True
    word = record.database_specific.get("severity")
    for score in record.severity:
        if score.type == "CVSS_V3" and (found := of_vector(score.score)) is not None:
            return found, True
    if isinstance(word, str) and (named := of_word(word)) is not None:
        return named, True
    return of_text(f"{record.summary} {record.details}"), False


def _title(record: Record) -> str:
    text = record.summary or re.split(r"(?<=[a-z\)])\.\s", record.details.strip(), maxsplit=1)[0]
    text = " ".join(re.sub(r"[#*`_\[\]]|\(https?:[^)]*\)", "", text).split()).rstrip(".")
    return text if len(text) <= TITLE else text[: TITLE - 1].rsplit(" ", 1)[0] + "…"


def _ranges(affected: _Affected) -> tuple[Range, ...]:
    found = [span for part in affected.ranges if part.type == "ECOSYSTEM" for span in _spans(part.events)]
    spare = [
        version
        for text in affected.versions
        if (version := parsed(text)) is not None and not any(span.holds(version) for span in found)
    ]
    found.extend(Range(str(version), "", str(version)) for version in sorted(spare))
    return tuple(dict.fromkeys(found))


def _spans(events: list[dict[str, str]]) -> Iterator[Range]:
    """Pair each introduction with the fix, or last affected release, that ends it."""
    rows = [(kind, text) for event in events for kind, text in event.items() if kind != "limit"]
    order = {"introduced": 0, "last_affected": 1, "fixed": 2}
    known = [(parsed(text), order.get(kind, 3), kind, text) for kind, text in rows if kind in order]
    dated = sorted((row for row in known if row[0] is not None), key=lambda row: (row[0], -row[1]))
    start: str | None = None
    for _, _, kind, text in dated:
        if kind == "introduced":
            start = ("" if text == "0" else text) if start is None else start
        elif start is not None:
            yield Range(start, text if kind == "fixed" else "", text if kind == "last_affected" else "")
            start = None
    if start is not None:
        yield Range(start)
