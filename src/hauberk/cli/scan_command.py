"""`hauberk scan`: look at files, execute nothing."""

from __future__ import annotations

import click

from hauberk.cli.options import reporting, show


@click.command("scan")
@click.argument("paths", nargs=-1, type=click.Path())
@reporting
def command(paths: tuple[str, ...], form: str, output: str | None, quiet: bool) -> int:
    """Look for unsafe model files, code, secrets, dependencies and container files under PATHS (default: here).

    Nothing is loaded, imported or run, and nothing is sent anywhere. Content decides what a file is, not its name.

    \b
    hauberk scan                             this folder
    hauberk scan model.pt notebooks/         some files and folders
    hauberk scan --format sarif -o scan.sarif

    Exit status: 0 nothing at or above the policy's severity, 1 something, 3 something could not be looked at.
    """
    from hauberk.api.scanning import scan
    from hauberk.cli.progress import progress

    with progress(quiet=quiet) as bars:
        report = scan(paths or (".",), progress=bars)
    show(report, form, output, quiet=quiet)
    if quiet and form == "terminal" and report.verdict().exit_status:
        from hauberk.core.policy import failing

        for finding in failing(report.evidence, report.policy, report.finished.date()):
            click.echo(f"{finding.location}: {finding.severity}: {finding.message} [{finding.rule}]")
    return report.verdict().exit_status
