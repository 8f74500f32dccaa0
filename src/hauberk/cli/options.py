"""Options that several commands share, and how a report is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from hauberk.assurance.difference import Difference
    from hauberk.core.evidence import Scalar
    from hauberk.core.report import Report

F = TypeVar("F", bound=Callable[..., Any])
FORMATS = ("terminal", "json", "sarif", "junit", "markdown", "html", "cyclonedx", "cyclonedx17")


def reporting(function: F) -> F:
    """Add --format, --output and --quiet."""
    function = click.option("--quiet", "-q", is_flag=True, help="No progress, no talk: only the result.")(function)
    function = click.option(
        "--output",
        "-o",
        type=click.Path(),
        default=None,
        help="Write there instead (a folder, or a file for --format).",
    )(function)
    return click.option(
        "--format", "form", type=click.Choice(FORMATS), default="terminal", show_default=True, help="What to print."
    )(function)


def executing(function: F) -> F:
    """Add --executor, --workers and --address."""
    function = click.option(
        "--address", metavar="HOST:PORT", help="A running Ray cluster; without it one is begun here for the run."
    )(function)
    function = click.option(
        "--workers", type=click.IntRange(min=1), help="Parts worked on at once (default: one for each core)."
    )(function)
    return click.option(
        "--executor",
        type=click.Choice(["serial", "processes", "ray"]),
        help="Where samples are attacked and reference models trained; all give the same numbers.",
    )(function)


def pairs(texts: tuple[str, ...]) -> dict[str, Scalar]:
    """Read name=value settings; a value is a number, true or false where it reads as one, else text."""
    import msgspec

    values: dict[str, Scalar] = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise click.UsageError(f'"{text}" is not name=value')
        try:
            values[name.strip()] = msgspec.json.decode(value, type=str | int | float | bool | None)
        except msgspec.DecodeError:
            values[name.strip()] = value
    return values


def show(report: Report, form: str, output: str | None, *, quiet: bool) -> None:
    """Print a report, or write it to a file."""
    from hauberk.api.reporting import rendered, show_on_terminal

    if form != "terminal" or output is not None:
        _write(rendered(report, form), output)
    elif not quiet:
        show_on_terminal(report)


def show_difference(found: Difference, form: str, output: str | None, *, quiet: bool) -> None:
    """Print the difference of two reports, or write it to a file."""
    from hauberk.api.comparing import compared, show_on_terminal

    if form != "terminal" or output is not None:
        _write(compared(found, form), output)
    elif not quiet:
        show_on_terminal(found)


def _write(data: bytes, output: str | None) -> None:
    """Write bytes to a file, or to standard output."""
    if output is None:
        sys.stdout.buffer.write(data)
        return
    try:
        Path(output).write_bytes(data)
    except OSError as error:
        from hauberk.core.errors import UsageError

        raise UsageError(f"cannot be written: {error.strerror}", where=output, fix="name another file") from error
