"""`hauberk watch`: run audits on a schedule and say what is new."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hauberk.api.watching import Round


@click.command("watch")
@click.argument("folder", type=click.Path(), default=".")
@click.option("--every", metavar="CRON", default="@daily", show_default=True, help="When: five fields, or @hourly …")
@click.option(
    "--run",
    "audits",
    type=click.Choice(["scan", "data", "check"]),
    multiple=True,
    default=("scan",),
    show_default=True,
    help="What: look at files, audit [data], or everything. Several are run in turn.",
)
@click.option("--zone", metavar="NAME", default="", help="The time zone of --every.  [default: the machine's]")
@click.option("--once", is_flag=True, help="Run now, say what is new, and end.")
@click.option("--format", "form", type=click.Choice(["terminal", "json", "markdown"]), default="terminal")
@click.option("--quiet", "-q", is_flag=True, help="No progress; only what is new.")
def command(folder: str, every: str, audits: tuple[str, ...], zone: str, once: bool, form: str, quiet: bool) -> int:
    """Run audits of the project in FOLDER on a schedule, compare each with the last, and report what is new.

    A round that was missed (the machine slept) is made up for at once. Reports lie in .hauberk/watch; Ctrl-C ends the
    watch and loses nothing. For cron or systemd, say --once.

    \b
    hauberk watch --every "0 3 * * mon-fri" --run scan --run data
    hauberk watch --once --run data

    Exit status with --once: 0 nothing got worse, 1 something did (the first time: the policy is not met), 3 an audit
    could not be run.
    """
    from typing import cast

    from hauberk.api.watching import Audit, watch
    from hauberk.cli.progress import progress

    worst = 0
    with progress(quiet=quiet) as bars:
        chosen = tuple(cast("Audit", audit) for audit in dict.fromkeys(audits))
        for found in watch(folder, every=every, audits=chosen, zone=zone, once=once, progress=bars):
            _show(found, form, quiet=quiet)
            worst = max(worst, found.exit_status)
    return worst


def _show(found: Round, form: str, *, quiet: bool) -> None:
    """Print what is new; the first time, and where nothing is new, one line."""
    head = f"{found.at:%Y-%m-%d %H:%M} {found.audit}:"
    if found.report is None:
        click.echo(f"{head} could not be run: {found.fault}", err=True)
    elif found.interrupted:
        click.echo(f"{head} was stopped; the last whole report stays", err=True)
    elif found.difference is None:
        if not quiet:
            click.echo(f"{head} {len(found.report.findings)} findings; later rounds are compared with this one")
    elif form != "terminal":
        from hauberk.api.comparing import compared

        click.echo(compared(found.difference, form).decode())
    else:
        if found.difference.worse or not quiet:
            click.echo(f"{head} {found.difference.summary}")
        for finding in found.difference.new:
            click.echo(f"  new: {finding.location}: {finding.severity}: {finding.message} [{finding.rule}]")
        for change in found.difference.headlines:
            if change.judged == "worse":
                click.echo(f"  worse: {change.row.name} of {change.row.subject}")
