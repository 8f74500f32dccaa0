"""The verb `scan`: look at files, execute nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import msgspec

from hauberk.api.assembling import Frame, assemble
from hauberk.api.environment import METADATA, site_packages
from hauberk.core.errors import UsageError
from hauberk.core.evidence import Evidence, Skipped
from hauberk.core.inventory import Component
from hauberk.core.limits import DEFAULT_LIMITS, Limits
from hauberk.core.places import cache_folder
from hauberk.core.progress import Silent
from hauberk.core.project import FILE_NAME, Project, ScanSection, read
from hauberk.core.protocols import Progress
from hauberk.core.provenance import Clock, Stamp, utc_now
from hauberk.core.report import Report
from hauberk.scanning import engine

_SILENT = Silent()
DATA = (
    ".csv",
    ".tsv",
    ".csv.gz",
    ".tsv.gz",
    ".parquet",
    ".pq",
    ".npz",
    ".npy",
    ".jsonl",
    ".ndjson",
    ".jsonl.gz",
    ".arrow",
    ".feather",
)
"""Endings of files that are data sets: named themselves, they are audited too."""
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How a scan goes about it, whatever the project says.

    jobs: worker processes (default: one a core). cached: use the results of earlier scans of the same bytes.
    since: a git revision; only files that differ from it. digests, history, general: as in [scan].
    baseline: a file, instead of [scan]'s. environment: look at what is installed there instead ("": in the active one).
    """

    jobs: int | None = None
    cached: bool = True
    since: str = ""
    digests: bool = False
    history: bool = False
    general: bool = False
    baseline: str = ""
    environment: str | None = None

    def section(self, section: ScanSection) -> ScanSection:
        """Return the project's section with what is asked for besides."""
        return msgspec.structs.replace(
            section,
            digests=section.digests or self.digests,
            history=section.history or self.history,
            general=section.general or self.general,
            baseline=self.baseline or section.baseline,
        )


_MANNER = Manner()


def scan(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = ".",
    *,
    manner: Manner = _MANNER,
    progress: Progress = _SILENT,
    limits: Limits = DEFAULT_LIMITS,
    clock: Clock = utc_now,
    seen: Callable[[Evidence], None] | None = None,
) -> Report:
    """Scan folders and files and report findings and what was not looked at.

    A hauberk.toml in the first folder gives [scan] and [policy]; without one the defaults hold. Nothing is kept in the
    evidence store: `check` does that. seen: is told of each entry as it is found.
    Ctrl-C ends the scan with what there is.

    Example:
        >>> hauberk.scan("examples/digits").findings  # doctest: +SKIP
    """
    given = [Path(paths)] if isinstance(paths, str | os.PathLike) else [Path(path) for path in paths]
    if manner.environment is not None:
        given = [site_packages(manner.environment or None)]
    for path in given:
        if not os.path.lexists(path):
            raise UsageError("no such file or folder", where=str(path))
    root, include = _root(given)
    project = read(root) if (root / FILE_NAME).exists() else Project(name=root.resolve().name)
    section = msgspec.structs.replace(project.scan, include=include) if include else project.scan
    if manner.environment is not None:
        there = tuple(pattern for pattern in METADATA if next(root.glob(pattern), None))
        section = msgspec.structs.replace(section, include=there)
    frame = Frame.open(project, root, " ".join(["hauberk scan", *map(str, given)]), clock=clock)
    stamp = Stamp(clock=clock, seed=None)
    evidence: list[Evidence] = []
    inventory: list[Component] = []
    interrupted = False
    try:
        found = entries(root, section, manner, stamp=stamp, limits=limits, progress=progress, inventory=inventory)
        data = (
            _data_sets(root, given, project, stamp, progress) if manner.environment is None and not manner.since else ()
        )
        for entry in chain(found, data):
            evidence.append(entry)
            if seen is not None:
                seen(entry)
    except KeyboardInterrupt:
        interrupted = True
        reason = "stopped before every file was looked at"
        fix = "scan again: what was looked at is not read twice"
        gap = Skipped(subject="scan", reason=reason, kind="interrupted", fix=fix, provenance=stamp.of("scanning"))
        evidence.append(gap)
    return assemble(frame, evidence, clock=clock, interrupted=interrupted, inventory=inventory)


def entries(
    root: Path,
    section: ScanSection,
    manner: Manner = _MANNER,
    *,
    stamp: Stamp,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress = _SILENT,
    inventory: list[Component] | None = None,
) -> Iterator[Evidence]:
    """Yield what a scan finds, with the baseline applied."""
    asked = manner.section(section)
    cache = cache_folder() if manner.cached else None
    found = engine.scan(
        root,
        asked,
        stamp=stamp,
        limits=limits,
        progress=progress,
        cache=cache / "scans" if cache else None,
        jobs=manner.jobs,
        since=manner.since,
        inventory=inventory,
    )
    if not asked.baseline:
        return iter(found)
    from hauberk.api.baselines import read_baseline

    where = Path(manner.baseline) if manner.baseline else root / section.baseline
    return read_baseline(where).applied(found)


def _data_sets(root: Path, given: list[Path], project: Project, stamp: Stamp, progress: Progress) -> Iterator[Evidence]:
    """Audit the data sets that were named themselves; those inside a named folder are the project's `check`'s."""
    named = [path for path in given if path.name.lower().endswith(DATA) or is_data_folder(path)]
    if named:
        from hauberk.api.auditing import beside_scan

        for path in named:
            whole = path.is_dir() and path.resolve() == root.resolve()
            source = path.resolve().name if whole else _below(path, root.resolve())
            yield from beside_scan(project, root.resolve().parent if whole else root, source, stamp, progress)


def is_data_folder(path: Path) -> bool:
    """Say by its records, or by images in sub-folders and nothing else, whether a folder is a data set."""
    if not path.is_dir():
        return False
    if any((path / name).is_file() for name in ("dataset_info.json", "dataset_dict.json", "state.json")):
        return True
    inner = [item for item in path.iterdir() if not item.name.startswith(".")][:200]
    classes = [item for item in inner if item.is_dir()]
    return len(classes) > 1 and len(classes) == len(inner) and all(_has_images(folder) for folder in classes[:20])


def _has_images(folder: Path) -> bool:
    return any(item.suffix.lower() in IMAGES for item in islice(folder.rglob("*"), 50))


def _root(given: list[Path]) -> tuple[Path, tuple[str, ...]]:
    """Return the folder that locations are relative to, and what to look at below it; empty: what the project says."""
    if len(given) == 1 and given[0].is_dir():
        return given[0], ()
    base = Path(os.path.commonpath([path.resolve() if path.is_dir() else path.parent.resolve() for path in given]))
    here = Path.cwd().resolve()
    base = here if base.is_relative_to(here) else base
    return base, tuple(_below(path, base) for path in given)


def _below(path: Path, base: Path) -> str:
    """Name a path below the base by its own name: a link is judged as a link."""
    whole = path.resolve() if path.is_dir() else path.parent.resolve() / path.name
    return whole.relative_to(base).as_posix()
