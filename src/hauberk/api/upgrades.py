"""The smallest safe upgrade of a vulnerable pin, and the lines that write it down. Pure: nothing is read or written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from hauberk.api.dependency_files import DependencyFile
from hauberk.scanning.advisory import parsed
from hauberk.scanning.artifact import Requirement
from hauberk.scanning.known_vulnerable import Hit, Snapshot, hits, version_of
from hauberk.scanning.release_index import ReleaseIndex

_HASH = re.compile(r"\s*\\?\s*--hash[= ]sha256:[0-9a-fA-F]+")
_RESOLVERS = {
    "poetry.lock": "poetry update {name}",
    "uv.lock": "uv lock --upgrade-package {name}=={version}",
    "pdm.lock": "pdm update {name}",
    "pipfile.lock": "pipenv upgrade {name}=={version}",
    "pylock.toml": "pip lock (or uv export) after raising {name} to {version}",
}


class Change(NamedTuple):
    """One pin to move. advisories: what the old release has and the new one has not."""

    path: str
    line: int
    package: str
    before: str
    after: str
    advisories: tuple[str, ...]

    @property
    def major(self) -> bool:
        """Tell whether the first number changes, where interfaces usually break."""
        old, new = parsed(self.before), parsed(self.after)
        return old is not None and new is not None and old.major != new.major


class Left(NamedTuple):
    """A vulnerable dependency that no line of ours mends, and why, with what the user can do."""

    path: str
    package: str
    version: str
    reason: str
    advisories: tuple[str, ...]


class Plan(NamedTuple):
    """New texts of files by path, what they change, and what is left."""

    texts: dict[str, str]
    changes: tuple[Change, ...]
    left: tuple[Left, ...]


def plan(files: Sequence[DependencyFile], known: Snapshot, index: ReleaseIndex, leave: Iterable[str] = ()) -> Plan:
    """Move every vulnerable pin to the lowest release without a known weakness that the project's ranges allow.

    leave: "path:line" of pins not to touch.
    """
    ranges = _ranges(files)
    stay, texts = frozenset(leave), {}
    changes: list[Change] = []
    left: list[Left] = []
    for file in files:
        text = file.text
        for item in file.artifact.requirements:
            met = hits(item, known)
            if not met or f"{file.path}:{item.place.line}" in stay:
                continue
            found = _moved(file, text, item, met, ranges, known, index)
            if isinstance(found, Left):
                left.append(found)
            else:
                change, text = found
                changes.append(change)
        if text != file.text:
            texts[file.path] = text
    return Plan(texts, tuple(changes), tuple(left))


def _moved(
    file: DependencyFile,
    text: str,
    item: Requirement,
    met: Sequence[Hit],
    ranges: dict[str, tuple[SpecifierSet, ...]],
    known: Snapshot,
    index: ReleaseIndex,
) -> Left | tuple[Change, str]:
    names = tuple(hit.advisory.id for hit in met)
    version = version_of(item)

    def stays(reason: str) -> Left:
        return Left(file.path, item.name, item.version or item.specifier, reason, names)

    if any(hit.advisory.malicious and not hit.fix for hit in met):
        return stays("it is a planted package: remove it, and treat the machines that installed it as taken over")
    if version is None:
        return stays(f"its range allows no fixed release; widen it to {met[0].fix or 'another package'} or later")
    target = smallest(item.name, version, known, index, ranges.get(item.name, ()))
    if target is None:
        free = smallest(item.name, version, known, index, ())
        return stays(
            f"{free} would be free of known weaknesses, but another range of the project forbids it"
            if free is not None
            else "no release without a known weakness is named; run hauberk update --releases, or replace it"
        )
    if file.artifact.format == "lockfile":
        tool = _RESOLVERS.get(file.file.name.lower(), "resolve anew with {name} at {version}")
        return stays(f"lock files are written by their own tool: {tool.format(name=item.name, version=target)}")
    changed = rewritten(text, item, str(target), index)
    if changed is None:
        return stays(
            f"{target} is free of known weaknesses, but its hashes are not known here: pip-compile --generate-hashes, "
            "or hauberk update --releases"
            if item.hashed
            else f"{target} is free of known weaknesses, but the line could not be found"
        )
    return Change(file.path, item.place.line or 0, item.name, item.version or "", str(target), names), changed


def smallest(
    name: str, version: Version, known: Snapshot, index: ReleaseIndex, ranges: Sequence[SpecifierSet]
) -> Version | None:
    """Return the lowest safe release above `version`, of its own major version if there is one.

    Known releases are those an index named and the fixes that advisories name; withdrawn ones and, unless the pin is
    one, pre-releases are left out.
    """
    rows = known.of(name)
    candidates = {bound for row in rows for part in row.ranges if (bound := parsed(part.fixed)) is not None}
    listing = index.of(name)
    if listing is not None:
        named = {row: parsed(row.version) for row in listing.releases}
        gone = {found for row, found in named.items() if row.yanked is not None}
        real = {found for row, found in named.items() if found is not None and row.yanked is None}
        # A fix that an advisory names need not have been published under that very number.
        candidates = real or candidates - gone
    safe = sorted(
        found
        for found in candidates
        if found > version
        and (version.is_prerelease or not found.is_prerelease)
        and all(allowed.contains(found, prereleases=True) for allowed in ranges)
        and not any(row.affects(found) for row in rows)
    )
    return next((found for found in safe if found.major == version.major), safe[0] if safe else None)


def _ranges(files: Sequence[DependencyFile]) -> dict[str, tuple[SpecifierSet, ...]]:
    """Gather what the project asks of each package elsewhere: its ranges, not its pins, which move together."""
    found: dict[str, list[SpecifierSet]] = {}
    for file in files:
        for item in file.artifact.requirements:
            if item.name and item.specifier and item.version is None:
                try:
                    found.setdefault(item.name, []).append(SpecifierSet(item.specifier))
                except InvalidSpecifier:
                    continue
    return {name: tuple(rows) for name, rows in found.items()}


def rewritten(text: str, item: Requirement, target: str, index: ReleaseIndex) -> str | None:
    """Return the text with one pin moved, hashes with it; None where the line or the new hashes are not known."""
    lines = text.splitlines(keepends=True)
    first = item.place.line
    if first is None or first > len(lines):
        return None
    last = max(first, item.place.end_line or first)
    block = "".join(lines[first - 1 : last])
    pin = re.compile(rf"(?<![\w.]){re.escape(item.version or '')}(?![\w.+])")
    name = re.search(re.escape(item.name).replace(r"\-", "[-_.]+"), block, re.I)
    found = pin.search(block, name.end() if name else 0)
    if found is None or name is None:
        return None
    block = block[: found.start()] + target + block[found.end() :]
    if _HASH.search(block):
        block = _rehashed(block, item.name, target, index)
        if not block:
            return None
    return "".join([*lines[: first - 1], block, *lines[last:]])


def _rehashed(block: str, name: str, target: str, index: ReleaseIndex) -> str:
    listing, version = index.of(name), parsed(target)
    row = listing.of(version) if listing is not None and version is not None else None
    if row is None or not row.hashes:
        return ""
    at = _HASH.search(block)
    bare = _HASH.sub("", block)
    if at is None:
        return bare
    hashes = "".join(f" \\\n    --hash=sha256:{value}" for value in row.hashes)
    return bare[: at.start()] + hashes + bare[at.start() :]
