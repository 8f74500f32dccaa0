"""The verb `scan`: look at files, execute nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hauberk.api.assembling import Frame, assemble
from hauberk.core.errors import UsageError
from hauberk.core.limits import DEFAULT_LIMITS, Limits
from hauberk.core.progress import Silent
from hauberk.core.project import FILE_NAME, Project, read
from hauberk.core.protocols import Progress
from hauberk.core.provenance import Clock, Stamp, utc_now
from hauberk.core.report import Report
from hauberk.scanning import engine

_SILENT = Silent()


def scan(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = ".",
    *,
    progress: Progress = _SILENT,
    limits: Limits = DEFAULT_LIMITS,
    clock: Clock = utc_now,
) -> Report:
    """Scan folders and files and report findings and what was not looked at.

    A hauberk.toml in the first folder gives [scan] and [policy]; without one the defaults hold. Nothing is kept in the
    evidence store: `check` does that.

    Example:
        >>> hauberk.scan("examples/digits").findings  # doctest: +SKIP
    """
    given = [Path(paths)] if isinstance(paths, str | os.PathLike) else [Path(path) for path in paths]
    for path in given:
        if not path.exists():
            raise UsageError("no such file or folder", where=str(path))
    root, include = _root(given)
    project = read(root) if (root / FILE_NAME).exists() else Project(name=root.resolve().name)
    section = msgspec.structs.replace(project.scan, include=include) if include else project.scan
    frame = Frame.open(project, root, " ".join(["hauberk scan", *map(str, given)]), clock=clock)
    stamp = Stamp(clock=clock, seed=None)
    evidence = tuple(engine.scan(root, section, stamp=stamp, limits=limits, progress=progress))
    return assemble(frame, evidence, clock=clock)


def _root(given: list[Path]) -> tuple[Path, tuple[str, ...]]:
    """Return the folder that locations are relative to, and what to look at below it; empty: what the project says."""
    if len(given) == 1 and given[0].is_dir():
        return given[0], ()
    base = Path(os.path.commonpath([path.resolve().parent if path.is_file() else path.resolve() for path in given]))
    here = Path.cwd().resolve()
    base = here if base.is_relative_to(here) else base
    return base, tuple(path.resolve().relative_to(base).as_posix() for path in given)
