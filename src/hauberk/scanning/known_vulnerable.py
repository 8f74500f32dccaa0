"""The advisories at hand and what they say of a dependency. Dated snapshots: no network is asked.

Two lists: every package of the Python index with a published advisory (shipped, or newer from `hauberk update`), and
one for machine-learning packages, curated by hand and usually newer.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from hauberk.core import places
from hauberk.core.errors import DataError
from hauberk.core.evidence import Confidence, Severity
from hauberk.scanning.advisory import Advisory, parsed, ranges_of
from hauberk.scanning.advisory_file import NAME, AdvisoryFile, Source, read
from hauberk.scanning.artifact import Requirement

_SHIPPED = Path(__file__).with_name("advisories")


class _Curated(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of the curated list. affected: PEP 440 specifiers joined by "||"."""

    package: str
    id: str
    affected: str
    severity: Severity
    confidence: Confidence
    title: str
    aliases: tuple[str, ...] = ()

    def advisory(self) -> Advisory:
        return Advisory(
            self.id, self.aliases, ranges_of(self.affected), self.severity, self.title, self.confidence, True
        )


class _CuratedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    checked_on: dt.date
    advisory: tuple[_Curated, ...]


class Snapshot:
    """Both lists together. fault: why an updated list could not be used, empty where nothing went wrong."""

    def __init__(self, index: AdvisoryFile, curated: _CuratedFile, digest: str, fault: str = "") -> None:
        self.source: Source = index.source
        self.curated_on = curated.checked_on
        self.digest, self.fault = digest, fault
        self._index = index
        self._curated: dict[str, list[Advisory]] = {}
        for row in curated.advisory:
            self._curated.setdefault(row.package, []).append(row.advisory())
        self._joined: dict[str, tuple[Advisory, ...]] = {}

    @property
    def checked_on(self) -> dt.date:
        """The day of the list that covers all packages."""
        return self.source.checked_on

    @property
    def packages(self) -> frozenset[str]:
        """Names of all packages with an advisory."""
        return self._index.packages | frozenset(self._curated)

    def of(self, package: str) -> tuple[Advisory, ...]:
        """Return the advisories of a package by its normalised name, the gravest first."""
        if package not in self._joined:
            order = ("critical", "high", "medium", "low", "info")
            rows = _together(self._curated.get(package, []), self._index.of(package))
            self._joined[package] = tuple(sorted(rows, key=lambda row: (order.index(row.severity), row.id)))
        return self._joined[package]

    def affecting(self, package: str, version: Version) -> tuple[Advisory, ...]:
        """Return the advisories that affect one release."""
        return tuple(row for row in self.of(package) if row.affects(version))

    @property
    def dates(self) -> str:
        """Word the days of both lists."""
        return f"{self.checked_on.isoformat()}, of AI packages {self.curated_on.isoformat()}"


def _together(curated: list[Advisory], listed: tuple[Advisory, ...]) -> list[Advisory]:
    """Join the lists: where both name a weakness, words are the curated ones, ranges the published ones.

    A curated range read from a reviewed source (confidence "high") stands.
    """
    rows: list[Advisory] = []
    used: set[str] = set()
    for row in curated:
        twin = next((other for other in listed if other.names & row.names), None)
        if twin is not None:
            used.add(twin.id)
            names = tuple(sorted((row.names | twin.names) - {row.id}))
            ranges, sure = (row.ranges, row.confidence) if row.confidence == "high" else (twin.ranges, twin.confidence)
            row = msgspec.structs.replace(row, aliases=names, ranges=ranges, confidence=sure)
        rows.append(row)
    return [*rows, *(row for row in listed if row.id not in used)]


def cache_folder() -> Path:
    """Return the user's folder for fetched advisories; where there is no home, one that is not there."""
    return (places.cache_folder() or Path("no-home-for-caches")) / "advisories"


def snapshot() -> Snapshot:
    """Read the advisories at hand: those that `hauberk update` fetched if they are newer, else the shipped ones."""
    updated = cache_folder() / NAME
    try:
        seen = updated.stat()
    except OSError:
        return _snapshot("", 0, 0)
    return _snapshot(str(updated), seen.st_mtime_ns, seen.st_size)


@cache
def _snapshot(updated: str, changed: int, size: int) -> Snapshot:  # noqa: ARG001 - a changed file is another key
    shipped, fault = read(_SHIPPED / NAME), ""
    if updated:
        try:
            newer = read(Path(updated))
        except (DataError, OSError) as error:
            fault = f"the updated advisories cannot be used: {error}"
        else:
            shipped = newer if newer.source.checked_on >= shipped.source.checked_on else shipped
    data = (_SHIPPED / "ai.toml").read_bytes()
    curated = msgspec.toml.decode(data, type=_CuratedFile)
    digest = hashlib.sha256(shipped.digest.encode() + data).hexdigest()
    return Snapshot(shipped, curated, f"sha256:{digest}", fault)


def version_of(requirement: Requirement) -> Version | None:
    """Return the exact version, None where there is none or it is no PEP 440 version."""
    return parsed(requirement.version) if requirement.version else None


class Hit(NamedTuple):
    """An advisory that a requirement meets. fix: the first release that is free of it, empty where none is named."""

    advisory: Advisory
    fix: str


def hits(requirement: Requirement, known: Snapshot) -> tuple[Hit, ...]:
    """Return the advisories that affect the pinned version, or every release that the range allows."""
    version = version_of(requirement)
    rows = known.of(requirement.name) if requirement.name else ()
    if version is not None:
        return tuple(Hit(row, row.fix_after(version)) for row in rows if row.affects(version))
    return tuple(Hit(row, row.fixed) for row in rows if never_fixed(requirement, row))


def never_fixed(requirement: Requirement, advisory: Advisory) -> bool:
    """Tell whether every release that a range allows is affected.

    Both change only at the versions they name, so those, their neighbours and zero stand for all others.
    """
    if requirement.version or requirement.url:
        return False
    try:
        allowed = SpecifierSet(requirement.specifier)
        named = [Version(item.version.removesuffix(".*")) for item in allowed]
    except (InvalidSpecifier, InvalidVersion):
        return False
    if not named:
        return advisory.malicious and advisory.ranges == ranges_of(">=0")
    named.extend(bound for part in advisory.ranges for bound in part.bounds())
    named.append(Version("0"))
    trials = [trial for version in named for trial in _around(version) if allowed.contains(trial, prereleases=True)]
    return bool(trials) and all(advisory.affects(trial) for trial in trials)


def _around(version: Version) -> tuple[Version, ...]:
    major, minor, micro = version.major, version.minor, version.micro
    epoch = f"{version.epoch}!" if version.epoch else ""
    texts = [f"{major}.{minor}.{micro + 1}", f"{major}.{minor + 1}.0", f"{major + 1}.0.0", f"{major}.{minor}.0"]
    if micro:
        texts.append(f"{major}.{minor}.{micro - 1}.9999")
    elif minor:
        texts.append(f"{major}.{minor - 1}.9999")
    elif major:
        texts.append(f"{major - 1}.9999")
    later = (Version(f"{version.public}.post1") if version.post is None and version.dev is None else version,)
    return (version, *later, *(Version(epoch + text) for text in texts))


def safe_release(package: str, version: Version, known: Snapshot) -> str:
    """Return the first named fix after `version` that no known advisory affects; empty where there is none."""
    rows = known.of(package)
    fixes = sorted({bound for row in rows for part in row.ranges if (bound := parsed(part.fixed)) is not None})
    return next((str(fix) for fix in fixes if fix > version and not any(row.affects(fix) for row in rows)), "")
