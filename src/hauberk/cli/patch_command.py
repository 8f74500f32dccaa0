"""`hauberk patch`: the smallest safe upgrades, as a difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hauberk.api.patching import Patch


@click.command("patch")
@click.argument("path", default=".", type=click.Path())
@click.option("--apply", "write", is_flag=True, help="Write the files, after the tests passed if --test is given.")
@click.option("--test", default="", help='Run this first on a copy with the upgrades installed, such as "make test".')
@click.option("--index-file", type=click.Path(), default=None, help="Releases kept by `hauberk update --releases`.")
@click.option("--quiet", "-q", is_flag=True, help="Only the difference.")
def command(path: str, write: bool, test: str, index_file: str | None, quiet: bool) -> int:
    """Propose the lowest release without a known weakness for each vulnerable pin under PATH.

    The same major version is preferred, and the project's other ranges hold. Files are written with --apply only.

    \b
    hauberk patch                                show the difference
    hauberk patch --test "make test" --apply     try it on a copy, write what passed
    hauberk patch | git apply

    Exit status: 0 nothing vulnerable is left, 1 something is, 2 usage, 3 the tests could not be run.
    """
    from hauberk.api.patching import patch
    from hauberk.cli.progress import progress

    with progress(quiet=quiet) as bars:
        found = patch(path, apply=write, test=test, index_file=index_file, progress=bars)
    if found.difference:
        click.echo(found.difference, nl=False)
    if not quiet:
        _say(found)
    return found.exit_status


def _say(found: Patch) -> None:
    for change in found.changes:
        breaking = "; another major version: read its notes" if change.major else ""
        click.echo(
            f"{change.path}:{change.line}: {change.package} {change.before} → {change.after} "
            f"({len(change.advisories)} known weaknesses{breaking})",
            err=True,
        )
    for change in found.dropped:
        click.echo(f"{change.path}:{change.line}: {change.package} {change.after} given up: the tests fail", err=True)
    for left in found.left:
        click.echo(f"{left.path}: {left.package} {left.version}: {left.reason}", err=True)
    if found.trial is not None and found.trial.status != "passed":
        click.echo(found.trial.output, err=True)
    if not (found.changes or found.left or found.dropped):
        click.echo("nothing vulnerable is pinned, as far as is known", err=True)
    click.echo(f"advisories of {found.dates}" + ("; files written" if found.applied else ""), err=True)
