"""The embedded advisories and which versions they affect. A dated snapshot: no network is asked."""

from __future__ import annotations

import datetime as dt
from functools import cache
from pathlib import Path

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from hauberk.core.evidence import Confidence, Severity
from hauberk.scanning.artifact import Requirement

_FILE = Path(__file__).with_name("advisories") / "ai.toml"


class Advisory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One known weakness of a package. affected: a PEP 440 specifier. fixed: first release without it, or empty."""

    package: str
    id: str
    affected: str
    fixed: str
    severity: Severity
    confidence: Confidence
    title: str

    def affects(self, version: Version) -> bool:
        """Tell whether a version is affected; a local label such as +cu121 changes nothing."""
        public = Version(version.public)
        return SpecifierSet(self.affected).contains(public, prereleases=True)


class Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All advisories and the day they were checked."""

    checked_on: dt.date
    advisory: tuple[Advisory, ...]

    def of(self, package: str) -> tuple[Advisory, ...]:
        """Return the advisories of a package by its normalised name."""
        return tuple(row for row in self.advisory if row.package == package)


@cache
def snapshot() -> Snapshot:
    """Read the advisories that hauberk ships."""
    return msgspec.toml.decode(_FILE.read_bytes(), type=Snapshot)


@cache
def covered() -> frozenset[str]:
    """Return the names of all packages that have an advisory."""
    return frozenset(row.package for row in snapshot().advisory)


def version_of(requirement: Requirement) -> Version | None:
    """Return the exact version, None where there is none or it is no PEP 440 version."""
    try:
        return Version(requirement.version) if requirement.version else None
    except InvalidVersion:
        return None


def never_fixed(requirement: Requirement, advisory: Advisory) -> bool:
    """Tell whether every release that a range allows is affected.

    Both ranges change only at the versions they name, so those and their successors stand for all others.
    """
    if not requirement.specifier:
        return False
    try:
        allowed, affected = SpecifierSet(requirement.specifier), SpecifierSet(advisory.affected)
        named = [Version(item.version.removesuffix(".*")) for item in (*allowed, *affected)]
    except (InvalidSpecifier, InvalidVersion):
        return False
    trials = [trial for version in named for trial in _around(version) if allowed.contains(trial, prereleases=True)]
    return bool(trials) and all(affected.contains(trial, prereleases=True) for trial in trials)


def _around(version: Version) -> tuple[Version, ...]:
    major, minor, micro = version.major, version.minor, version.micro
    texts = (f"{major}.{minor}.{micro + 1}", f"{major}.{minor + 1}.0", f"{major + 1}.0.0", f"{major}.{minor}.0")
    return (version, *(Version(text) for text in texts))
