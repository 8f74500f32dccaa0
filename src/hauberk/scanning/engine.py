"""The one that runs formats and rules over a project: never executes, never crashes, says what it did not look at."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from hauberk.core.evidence import Finding, Measurement, Skipped
from hauberk.core.inventory import Component
from hauberk.core.limits import DEFAULT_LIMITS, Limits
from hauberk.core.progress import Silent
from hauberk.core.project import ScanSection
from hauberk.core.protocols import Progress
from hauberk.core.provenance import Stamp
from hauberk.scanning.kit import Tools, tools
from hauberk.scanning.reading import RECIPE, FileScan, Order, Seen, judged
from hauberk.scanning.tree import Listed, survey

if TYPE_CHECKING:
    from hauberk.scanning.cache import Cache

_SECTION, _STAMP, _SILENT = ScanSection(), Stamp(), Silent()
_ALONE_SECONDS = 0.4
"""How long the scan goes on by itself before it starts worker processes: about what starting them costs."""
_PATIENCE = 4.0
"""Seconds by the clock after which the rest is shared out in any case."""
_FEW = 8
"""So many files or fewer are not worth a second process."""
_WORTH_KEEPING = 32
"""So many files make it worth opening the cache."""

Entry: TypeAlias = Finding | Skipped | Measurement


def scan(
    root: Path,
    section: ScanSection = _SECTION,
    *,
    stamp: Stamp = _STAMP,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress = _SILENT,
    cache: Path | None = None,
    jobs: int | None = None,
    since: str = "",
    inventory: list[Component] | None = None,
) -> Iterator[Entry]:
    """Look at every file under `root` and yield what is wrong and what was not looked at, file by file, in path order.

    The last entries count the files: all that were opened (by format), and those no format knows.
    cache: a folder of the user's own to keep results in, by content and by the rules' own text. jobs: worker processes
    (default: one a core); 1 reads everything in this process. since: a git revision; only files that differ from it.
    inventory: is given what the project consists of, once the scan is over.
    """
    if section.max_seconds is not None:
        limits = msgspec.structs.replace(limits, seconds=section.max_seconds)
    order = Order(limits=limits, rules_off=section.rules_off, ignores=section.ignores, digests=section.digests)
    tree = survey(root, section.include, section.exclude)
    if since:
        from hauberk.scanning.git_changes import changed_only

        tree = changed_only(root, since, tree)
    files, whole = _acquainted(tree.files, limits), _Whole()
    with progress.step("scan", len(files), "files") as step, _memory(cache, root, order, len(files)) as kept:
        for listed, result in _results(files, order, kept, jobs or os.cpu_count() or 1):
            yield from restamped(result.entries, stamp)
            whole.add(result)
            step.advance(1, listed.path)
        whole.reused = kept.reused
    yield from _of_the_whole(whole, stamp)
    if section.history:
        yield from _history(root, since, section, limits, stamp)
    if section.general:
        from hauberk.scanning.general_rules import general_findings

        yield from general_findings(root, tree.files, stamp, said=whole.said)
    if inventory is not None:
        inventory.extend(whole.parts)
    for omitted in tree.omitted:
        yield Skipped(subject=omitted.subject, reason=omitted.reason, kind=omitted.kind, provenance=stamp.of(RECIPE))
    yield from _counted(root, len(tree.files), whole, stamp)


class _Whole:
    """What is gathered over all files. said: the places our own rules have spoken of."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.unknown = self.reused = 0
        self.declares = False
        self.parts: list[Component] = []
        self.said: set[tuple[str, str, int]] = set()

    def add(self, result: FileScan) -> None:
        self.counts.update(result.formats)
        self.unknown += not result.formats
        self.declares |= result.declares
        self.parts.extend(result.components)
        places = (item.location for item in result.entries if isinstance(item, Finding))
        self.said.update((place.path, place.part, place.line) for place in places if place.line is not None)


def _of_the_whole(whole: _Whole, stamp: Stamp) -> Iterator[Entry]:
    """Yield what only all files together say: licences that do not go together, how old the advisories are."""
    if any(part.kind == "application" for part in whole.parts):
        from hauberk.scanning.rules.licences.conflict import LicenceConflict

        yield from LicenceConflict().check(whole.parts, stamp)
    if whole.declares:
        from hauberk.scanning.advisory_age import advisories_age

        yield advisories_age(stamp)


def _acquainted(files: Sequence[Listed], limits: Limits) -> Sequence[Listed]:
    """Tell the project's Python modules what the others say of them, where there are two or more."""
    if sum(listed.path.endswith(".py") for listed in files) < 2:
        return files
    from hauberk.scanning.python_modules import survey as survey_modules

    known = survey_modules(files, limits).known
    return [listed._replace(known=known.get(listed.path)) for listed in files] if known else files


class _Forgetful:
    """A memory that keeps nothing, for a scan too small to be worth one."""

    reused = 0

    def get(self, listed: Listed) -> FileScan | None:  # noqa: ARG002
        return None

    def put(self, listed: Listed, result: FileScan) -> FileScan:  # noqa: ARG002
        return result

    def __enter__(self) -> _Forgetful:
        return self

    def __exit__(self, *_: object) -> None:
        return


def _memory(folder: Path | None, root: Path, order: Order, files: int) -> Cache | _Forgetful:
    """Open the cache where there is one; its database is not even imported for a handful of files."""
    if folder is None or files < _WORTH_KEEPING:
        return _Forgetful()
    from hauberk.scanning.cache import Cache

    return Cache.at(folder, root, order)


def _results(
    files: Sequence[Listed], order: Order, kept: Cache | _Forgetful, jobs: int
) -> Iterator[tuple[Listed, FileScan]]:
    """Take what is kept, read the rest: by itself at first, then in worker processes."""
    read = order.reader()
    begun, worked = time.monotonic(), time.process_time()
    for index, listed in enumerate(files):
        left = len(files) - index
        if jobs > 1 and left > _FEW and _worth_sharing(begun, worked, index, left):
            yield from _shared_out(files[index:], order, kept, jobs)
            return
        yield listed, kept.get(listed) or kept.put(listed, read(listed))


def _worth_sharing(begun: float, worked: float, done: int, left: int) -> bool:
    """Say whether what is left takes longer than worker processes do to start, going by what is done.

    The processor's time counts, not the clock's, on a machine with other work; the clock alone after a file that
    waited long.
    """
    spent = time.process_time() - worked
    if time.monotonic() - begun > _PATIENCE:
        return True
    return spent > _ALONE_SECONDS and spent / max(1, done) * left > _ALONE_SECONDS


def _shared_out(
    files: Sequence[Listed], order: Order, kept: Cache | _Forgetful, jobs: int
) -> Iterator[tuple[Listed, FileScan]]:
    from hauberk.scanning.pool import scan_all

    known = {index: result for index, listed in enumerate(files) if (result := kept.get(listed)) is not None}
    rest = [listed for index, listed in enumerate(files) if index not in known]
    fresh = scan_all(rest, order, jobs) if rest else iter(())
    for index, listed in enumerate(files):
        yield listed, known.pop(index) if index in known else kept.put(listed, next(fresh))


def _history(root: Path, since: str, section: ScanSection, limits: Limits, stamp: Stamp) -> Iterator[Seen]:
    """Look for secrets in what git still holds; raises UsageError where there is no repository."""
    from hauberk.scanning.git_history import past_secrets

    rules = tuple((name, rule) for name, rule in tools(section.rules_off).rules if name.startswith("secrets."))
    for artifact in past_secrets(root if root.is_dir() else root.parent, since=since, limits=limits):
        yield from judged(artifact, Tools((), rules), stamp)


def restamped(entries: Sequence[Seen], stamp: Stamp) -> Iterator[Seen]:
    """Give entries made elsewhere or earlier this run's time, seed and digests; they say the same of the same bytes."""
    for item in entries:
        own = item.provenance
        now = stamp.of(own.recipe)
        digests = (*stamp.digests, *own.digests)
        yield msgspec.structs.replace(item, provenance=msgspec.structs.replace(now, digests=digests))


def _counted(root: Path, total: int, whole: _Whole, stamp: Stamp) -> Iterator[Measurement]:
    by_format = ", ".join(f"{name} {count}" for name, count in sorted(whole.counts.items()))
    taken = f"; {whole.reused} of them as they were judged before: same bytes, same rules" if whole.reused else ""
    rows = (
        ("files_scanned", total, (f"read by format: {by_format}" if by_format else "no format read any file") + taken),
        ("files_of_unknown_kind", whole.unknown, "no format knows them; their content was not judged"),
    )
    for name, value, note in rows:
        yield Measurement(
            name=name,
            subject=root.name or str(root),
            value=float(value),
            low=float(value),
            high=float(value),
            level=1.0,
            method="exact",
            n=total,
            population=total,
            unit="files",
            better="neither",
            role="diagnostic",
            note=note,
            provenance=stamp.of(RECIPE),
        )
