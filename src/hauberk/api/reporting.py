"""The verb `report`: write a report, read a past one back, compare two."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from hauberk.api.evidence import opened
from hauberk.api.running import pieces
from hauberk.assurance import difference_pages, engine
from hauberk.assurance.difference import Difference, compare
from hauberk.assurance.outputs import terminal
from hauberk.core.encoding import canonical, decode
from hauberk.core.errors import UnknownName, UsageError, nearest
from hauberk.core.evidence import Entry, Evidence
from hauberk.core.plugins import catalog
from hauberk.core.project import read
from hauberk.core.report import Report

ENVELOPE = "report"
"""The step of the checkpoint that keeps a report without its evidence, which the store has already."""


def report(
    source: Report | str | os.PathLike[str], folder: str | os.PathLike[str], formats: Sequence[str]
) -> tuple[Path, ...]:
    """Write a report (or the report.json at a path) in several formats into a folder; returns the files.

    Example:
        >>> hauberk.report(hauberk.check("examples/digits"), "out", ["html", "sarif"])  # doctest: +SKIP
    """
    made = source if isinstance(source, Report) else load(Path(source))
    return engine.write(made, tuple(formats), Path(folder))


def rendered(source: Report, form: str) -> bytes:
    """Render a report in one format."""
    return engine.render(source, form)


def load(path: Path) -> Report:
    """Read a report.json; raises UsageError where it is not one."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from error
    return engine.report_from_json(data)


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A report without its evidence, and the pieces of work whose evidence belongs to it, in order."""

    report: Report
    steps: tuple[str, ...]


def envelope(source: Report, steps: Sequence[str]) -> str:
    """Encode a report as the store keeps it."""
    return canonical(Envelope(report=msgspec.structs.replace(source, evidence=()), steps=tuple(steps))).decode()


def restored(entries: Iterable[Entry]) -> Report:
    """Put a past report together from a run's entries; raises UsageError for a run that never got so far."""
    kept: dict[str, tuple[Evidence, ...]] = {}
    last = ""
    for piece in pieces(entries):
        if piece.step == ENVELOPE:
            last = piece.state
        elif piece.part < 0:
            kept[piece.step] = piece.evidence
    if not last:
        raise UsageError("this run was broken off before its report", fix="run `hauberk check --resume`")
    cover = decode(last, Envelope)
    evidence = tuple(item for step in cover.steps for item in kept.get(step, ()))
    return msgspec.structs.replace(cover.report, evidence=evidence)


def difference(before: Report, after: Report) -> Difference:
    """Compare two reports: findings new and fixed, figures better and worse where their intervals say so."""
    return compare(before, after)


def compared(found: Difference, form: str) -> bytes:
    """Render a difference as "terminal", "markdown", "html" or "json"."""
    return difference_pages.render(found, form)


def show_on_terminal(shown: Report | Difference) -> None:
    """Print a report or a difference to standard output, as wide and as coloured as the terminal is."""
    console = Console()
    if isinstance(shown, Difference):
        difference_pages.show(shown, console)
    else:
        terminal.show(shown, console)


def destination(project: Path, output: str | None, formats: str | None) -> tuple[Path, tuple[str, ...]]:
    """Say where a check's report files go and which: what the caller names, else what [report] says."""
    section = read(project).report
    base = project if project.is_dir() else project.parent
    names = (
        section.formats if formats is None else tuple(name for name in formats.split(",") if name not in ("", "none"))
    )
    known = {entry.name for entry in catalog("outputs")}
    for name in names:
        if name not in known:
            raise UnknownName(f'no report format "{name}"', fix=nearest(name, known))
    return Path(output) if output else base / section.folder, names


def past(name: str, project: str | os.PathLike[str], store: str | None = None) -> Report:
    """Find a past report: a report.json by its path, a run by its name, or the last one for an empty name."""
    if name.endswith(".json") or os.sep in name:
        return load(Path(name))
    with opened(Path(project), store) as kept:
        return restored(kept.entries(kept.find(name or "latest").run))
