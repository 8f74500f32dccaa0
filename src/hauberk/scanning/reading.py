"""One file: read by every format that accepts it, all nesting included, and judged by every rule; a pure function."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias, cast

import msgspec

from hauberk.core.errors import LimitExceeded
from hauberk.core.evidence import Digest, Finding, Location, Severity, Skipped, severity_rank
from hauberk.core.inventory import Component
from hauberk.core.limits import DEFAULT_LIMITS, Limits
from hauberk.core.provenance import Stamp
from hauberk.scanning.artifact import Artifact, Blob, Draft, Edit, Problem, Rule
from hauberk.scanning.blobs import FileBlob, MemberBlob
from hauberk.scanning.hashing import Hashing, sha256_of
from hauberk.scanning.ignoring import ignored
from hauberk.scanning.incomplete import unread
from hauberk.scanning.inventory import components
from hauberk.scanning.kit import Tools, tools
from hauberk.scanning.neighbours import depends_on_neighbours, with_neighbours
from hauberk.scanning.printable import plain
from hauberk.scanning.stretch import Content, spent
from hauberk.scanning.tree import Listed

RECIPE = "scanning"
_STAMP = Stamp()
PER_RULE = 100
"""Findings of one rule listed for one file; the worst come first."""
_REMEDY = {
    "limit": "raise the limit, or take the file out with scan.exclude",
    "broken": "fetch or write the file anew, or take it out with scan.exclude",
}
NOT_READ = ("limit", "encrypted")
"""Problems that mean a part could not be looked at: they become a Skipped of kind "limit"."""

Seen: TypeAlias = Finding | Skipped


class FileScan(NamedTuple):
    """What one file gave.

    formats: names of the formats that read it or its parts, sorted; empty for unknown kinds.
    digests: "blake3:…" and "sha256:…" of its bytes where they were asked for.
    components: what it adds to the bill of materials. declares: whether it names dependencies.
    beside: whether the files beside it had a say, which its own bytes do not hold.
    """

    entries: tuple[Seen, ...]
    formats: tuple[str, ...]
    digests: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()
    declares: bool = False
    beside: bool = False


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """How every file of a scan is to be read: all that its result depends on besides its name and bytes."""

    limits: Limits = DEFAULT_LIMITS
    rules_off: tuple[str, ...] = ()
    ignores: bool = True
    digests: bool = False

    def reader(self) -> Callable[[Listed], FileScan]:
        """Return a function that reads one file so."""
        kit = tools(self.rules_off)
        return lambda listed: scan_file(listed, kit, limits=self.limits, digests=self.digests, ignores=self.ignores)


def not_read(path: str, reason: str) -> FileScan:
    """Say that a file could not be read at all."""
    return FileScan((_skip(path, reason, "error", _STAMP),), ())


def scan_file(
    listed: Listed,
    kit: Tools,
    *,
    stamp: Stamp = _STAMP,
    limits: Limits = DEFAULT_LIMITS,
    digests: bool = False,
    ignores: bool = True,
) -> FileScan:
    """Look at one file: a pure function of its bytes and its name, so that files can be shared out."""
    try:
        blob = FileBlob(listed.file, listed.path, limits)
    except OSError as error:
        return FileScan((_skip(listed.path, f"cannot be read: {error.strerror or error}", "error", stamp),), ())
    if blob.size > limits.file_bytes:
        reason = f"{blob.size} bytes are more than the {limits.file_bytes} a file may have"
        return FileScan((_skip(listed.path, reason, "limit", stamp),), ())
    hashing = Hashing(blob) if digests else None
    reading = _Reading(kit, limits, stamp)
    artifacts = tuple(with_neighbours(artifact, listed.file) for artifact in reading.read(blob, 0))
    if hashing is not None:
        artifacts = tuple(_with_programs(artifact, blob, hashing) for artifact in artifacts)
    found: list[Seen] = [*reading.skipped]
    if listed.known is not None:
        from hauberk.scanning.python_modules import knowing

        artifacts = tuple(knowing(artifact, listed.known) for artifact in artifacts)
    for artifact in artifacts:
        for part in artifact.walk():
            found.extend(judged(part, kit, stamp))
    formats = {part.format for artifact in artifacts for part in artifact.walk() if part.format}
    kept = _shortened(_ordered(found), blob, stamp)
    if ignores:
        kept = ignored(kept, blob, artifacts, stamp)
    try:
        values = _digests(blob, hashing, kept)
    except OSError as error:
        return FileScan((*kept, _skip(listed.path, f"changed while it was read: {error}", "error", stamp)), ())
    declares = any(part.requirements for artifact in artifacts for part in artifact.walk())
    return FileScan(
        _stamped(kept, blob, values),
        tuple(sorted(formats)),
        values if digests else (),
        components(blob.path, blob.size, artifacts, values),
        declares,
        any(depends_on_neighbours(artifact) for artifact in artifacts),
    )


def _with_programs(artifact: Artifact, blob: FileBlob, hashing: Hashing) -> Artifact:
    """Add the programs among weights that only reading every byte finds; it is read for the digests anyway."""
    if not any(fact.kind == "weights-spans" for fact in artifact.references):
        return artifact
    from hauberk.scanning.payloads import among_weights

    try:
        with blob.open() as stream:
            found = tuple(among_weights(stream, hashing.programs(), artifact.references))
    except OSError:
        return artifact
    return msgspec.structs.replace(artifact, references=(*artifact.references, *found)) if found else artifact


def proposed_edits(blob: FileBlob, kit: Tools, limits: Limits) -> Iterator[Edit]:
    """Yield the safe changes that code rules propose for a file itself."""
    for artifact in _Reading(kit, limits, _STAMP).read(blob, 0):
        for name, rule in kit.rules if artifact.source is not None else ():
            if name.startswith("code."):
                for draft in rule.check(artifact):
                    yield from draft.edits


class _Reading:
    """The reading of one file by every format that accepts it, over all nesting, within one allowance."""

    def __init__(self, kit: Tools, limits: Limits, stamp: Stamp) -> None:
        self._kit, self._limits, self._stamp = kit, limits, stamp
        self._deadline = time.monotonic() + limits.seconds
        self._bytes = limits.total_bytes
        self._members = limits.members
        self.skipped: list[Skipped] = []

    def read(self, blob: Blob, depth: int) -> tuple[Artifact, ...]:
        artifacts = []
        for name, reader in self._kit.formats:
            subject = f"{blob.path}!{blob.part}" if blob.part else blob.path
            try:
                if reader.sniff(blob):
                    artifact = reader.parse(blob, self._left(depth), lambda n, d: self._descend(blob, depth, n, d))
                    artifacts.append(artifact)
            except LimitExceeded as error:
                self.skipped.append(_skip(subject, f"{name}: {error.what}", "limit", self._stamp))
            except OSError as error:
                self.skipped.append(_skip(subject, f"{name}: cannot be read: {error}", "error", self._stamp))
            except Exception as error:  # noqa: BLE001 - a reader's bug on hostile bytes must not end the scan
                reason = f"the {name} reader failed: {type(error).__name__}: {str(error)[:200]}"
                self.skipped.append(_skip(subject, reason, "error", self._stamp))
        return tuple(artifacts)

    def _left(self, depth: int) -> Limits:
        """Return what is left of the file's allowance, so that formats need no second clock."""
        return msgspec.structs.replace(
            self._limits,
            seconds=max(0.0, self._deadline - time.monotonic()),
            total_bytes=max(0, self._bytes),
            members=max(0, self._members),
            depth=self._limits.depth - depth,
        )

    def _descend(self, outer: Blob, depth: int, name: str, data: Content) -> tuple[Artifact, ...]:
        part = f"{outer.part}!{name}" if outer.part else name
        self._bytes -= spent(data)
        self._members -= 1
        reason = ""
        if depth + 1 > self._limits.depth:
            reason = f"nested deeper than {self._limits.depth}"
        elif self._bytes < 0:
            reason = f"unpacks to more than {self._limits.total_bytes} bytes in all"
        elif self._members < 0:
            reason = f"more than {self._limits.members} members in all"
        elif time.monotonic() > self._deadline:
            reason = f"not read within {self._limits.seconds:.3g} seconds"
        if reason:
            problem = Problem(kind="limit", message=reason)
            return (Artifact(path=outer.path, part=part, format="", size=len(data), problems=(problem,)),)
        return self.read(MemberBlob(outer.path, part, data, self._limits), depth + 1)


def judged(artifact: Artifact, kit: Tools, stamp: Stamp) -> Iterator[Seen]:
    """Hold one artifact, not its parts, to every rule; what it could not be read for is said."""
    subject = f"{artifact.path}!{artifact.part}" if artifact.part else artifact.path
    for problem in artifact.problems:
        if problem.kind in NOT_READ:
            yield _skip(subject, problem.message, "limit", stamp)
    if reason := unread(artifact):
        yield _skip(subject, reason, "broken", stamp)
    for name, rule in kit.rules:
        try:
            for draft in rule.check(artifact):
                yield _finding(name, rule, draft, artifact, stamp)
        except Exception as error:  # noqa: BLE001 - one rule's bug must not hide what the others find
            reason = f"the rule {name} failed: {type(error).__name__}: {str(error)[:200]}"
            yield _skip(subject, reason, "error", stamp)


def _finding(name: str, rule: Rule, draft: Draft, artifact: Artifact, stamp: Stamp) -> Finding:
    place = draft.place
    return Finding(
        rule=name,
        severity=draft.severity or cast(Severity, rule.card.severity or "medium"),
        confidence=draft.confidence,
        location=Location(
            path=artifact.path,
            part=plain(artifact.part),
            line=place.line,
            column=place.column,
            end_line=place.end_line,
            offset=place.offset,
        ),
        message=plain(draft.message),
        fix=draft.fix,
        provenance=stamp.of(name),
        trace=tuple(plain(line) for line in draft.trace),
        references=draft.references or rule.card.threats,
    )


def _skip(subject: str, reason: str, kind: str, stamp: Stamp) -> Skipped:
    return Skipped(
        subject=plain(subject),
        reason=plain(reason),
        kind="limit" if kind == "limit" else "error",
        fix=_REMEDY.get(kind, ""),
        provenance=stamp.of(RECIPE),
    )


def _ordered(found: list[Seen]) -> list[Seen]:
    """Drop repeats (two formats that read the same bytes) and put findings in the order of the file."""
    unique: dict[tuple[str, ...], Seen] = {}
    for item in found:
        if isinstance(item, Finding):
            unique.setdefault((item.rule, str(item.location), item.message), item)
        else:
            unique.setdefault((item.subject, item.reason), item)
    return sorted(unique.values(), key=_place)


def _shortened(found: list[Seen], blob: FileBlob, stamp: Stamp) -> list[Seen]:
    """Keep the worst findings of each rule, and the first parts not looked at; say how many more there are."""
    groups: dict[str, list[Seen]] = {}
    for item in found:
        groups.setdefault(item.rule if isinstance(item, Finding) else "", []).append(item)
    surplus: set[int] = set()
    more: list[Seen] = []
    for rule, items in groups.items():
        if len(items) > PER_RULE:
            worst = sorted(items, key=lambda item: -severity_rank(item.severity) if isinstance(item, Finding) else 0)
            surplus.update(id(item) for item in worst[PER_RULE:])
            what = f"findings of {rule}" if rule else "parts that were not looked at"
            more.append(_skip(blob.path, f"{len(items) - PER_RULE} more {what} are not listed", "limit", stamp))
    return [*(item for item in found if id(item) not in surplus), *more]


def _place(item: Seen) -> tuple[str, int, int, int, str]:
    if isinstance(item, Skipped):
        return (item.subject.partition("!")[2], -1, -1, -1, item.reason)
    where = item.location
    return (where.part, where.line or 0, where.column or 0, where.offset or 0, item.rule)


def _digests(blob: FileBlob, hashing: Hashing | None, found: list[Seen]) -> tuple[str, ...]:
    """Wait for the digests that were asked for; else digest only what something was found in: weights are large."""
    if hashing is not None:
        return hashing.values()
    return (sha256_of(blob),) if any(isinstance(item, Finding) for item in found) else ()


def _stamped(found: list[Seen], blob: FileBlob, values: tuple[str, ...]) -> tuple[Seen, ...]:
    """Add the file's digest to its findings."""
    if not values:
        return tuple(found)
    digest = Digest(name=blob.path, value=values[-1])
    return tuple(_with_digest(item, digest) if isinstance(item, Finding) else item for item in found)


def _with_digest(item: Finding, digest: Digest) -> Finding:
    provenance = msgspec.structs.replace(item.provenance, digests=(*item.provenance.digests, digest))
    return msgspec.structs.replace(item, provenance=provenance)
