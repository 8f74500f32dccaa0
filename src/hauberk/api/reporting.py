"""The verb `report`: write a report in several formats, read one back from its file, show it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hauberk.assurance import engine
from hauberk.core.errors import UnknownName, UsageError, nearest
from hauberk.core.plugins import catalog
from hauberk.core.project import read
from hauberk.core.report import Report


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


def show_on_terminal(shown: Report) -> None:
    """Print a report to standard output, as wide and as coloured as the terminal is."""
    from rich.console import Console

    from hauberk.assurance.outputs import terminal

    terminal.show(shown, Console())


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
