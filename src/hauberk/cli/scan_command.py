"""`hauberk scan`: look at files, execute nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hauberk.cli.options import reporting, show

if TYPE_CHECKING:
    from hauberk.core.report import Report


@click.command("scan")
@click.argument("paths", nargs=-1, type=click.Path())
@click.option("--changed-since", "since", metavar="REV", default="", help="Only files that differ from a git revision.")
@click.option("--history", is_flag=True, help="Look for secrets in the git history too.")
@click.option("--general", is_flag=True, help="General Python security rules too, by ruff beside hauberk.")
@click.option(
    "--fix", is_flag=True, help="Show the safe changes of Python files as a diff, and make them if you agree."
)
@click.option("--yes", is_flag=True, help="Agree to --fix.")
@click.option("--digests", is_flag=True, help="Digest every file (BLAKE3 and SHA-256), for a bill of materials.")
@click.option("--baseline", metavar="FILE", default="", help="Findings that were there before do not count.")
@click.option("--write-baseline", metavar="FILE", default="", help="Write today's findings as a baseline.")
@click.option(
    "--environment",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[FOLDER]",
    help="Look at the packages installed there instead (default: in the active environment).",
)
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Worker processes.  [default: one a core]")
@click.option("--no-cache", is_flag=True, help="Read every file again, whatever earlier scans know of it.")
@reporting
def command(
    paths: tuple[str, ...],
    since: str,
    history: bool,
    general: bool,
    fix: bool,
    yes: bool,
    digests: bool,
    baseline: str,
    write_baseline: str,
    environment: str | None,
    jobs: int | None,
    no_cache: bool,
    form: str,
    output: str | None,
    quiet: bool,
) -> int:
    """Look for unsafe model files, code, secrets, dependencies and deployment files under PATHS (default: here).

    Nothing is loaded, imported or run, and nothing is sent anywhere. Content decides what a file is, not its name.

    \b
    hauberk scan                             this folder
    hauberk scan model.pt notebooks/         some files and folders
    hauberk scan --changed-since main        what a branch changed
    hauberk scan --write-baseline old.json   an old project: only what is new counts from now on
    hauberk scan --format sarif -o scan.sarif

    A finding is answered in the file itself: `# hauberk: ignore[RULE] reason`, or in hauberk.toml ([[policy.accept]]).

    Exit status: 0 nothing at or above the policy's severity, 1 something, 3 something could not be looked at.
    """
    from hauberk.api.scanning import Manner, scan
    from hauberk.cli.progress import progress, telling

    manner = Manner(
        jobs=jobs,
        cached=not no_cache,
        since=since,
        history=history,
        general=general,
        digests=digests,
        baseline=baseline,
        environment=environment,
    )
    with progress(quiet=quiet) as bars:
        report = scan(paths or (".",), manner=manner, progress=bars, seen=telling(bars))
    show(report, form, output, quiet=quiet)
    if write_baseline:
        from hauberk.api.baselines import write_baseline as write

        count = write(Path(write_baseline), report.findings, report.finished.date())
        click.echo(f"wrote {write_baseline}: {count} findings that will not count again", err=True)
        return 0
    if fix:
        _mend(paths or (".",), yes=yes)
    if quiet and form == "terminal":
        _failing(report)
    return report.verdict().exit_status


def _mend(paths: tuple[str, ...], *, yes: bool) -> None:
    """Show the safe changes, and make them where the user agrees."""
    from hauberk.api.mending import mend, proposed

    changes = proposed(paths)
    for change in changes:
        click.echo(change.diff, nl=False)
    if not changes:
        click.echo("nothing here can be mended safely by itself", err=True)
        return
    if not yes and not (sys.stdin.isatty() and click.confirm(f"change {len(changes)} files?", err=True)):
        click.echo("nothing was changed; say --yes to change the files", err=True)
        return
    for path in mend(changes):
        click.echo(f"changed {path}", err=True)


def _failing(report: Report) -> None:
    """Print one line for each finding that fails the policy, and for what could not be looked at."""
    from hauberk.core.policy import failing

    for finding in failing(report.evidence, report.policy, report.finished.date()):
        click.echo(f"{finding.location}: {finding.severity}: {finding.message} [{finding.rule}]")
