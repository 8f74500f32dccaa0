"""`hauberk report`: a past run's report again, or the difference of two."""

from __future__ import annotations

import click

from hauberk.cli.options import reporting, show


@click.command("report")
@click.argument("run", required=False)
@click.option("--project", type=click.Path(exists=True, file_okay=False), default=".", help="The project's folder.")
@click.option("--store", metavar="URL", help="The evidence store, instead of [store] url.")
@click.option("--diff", nargs=2, metavar="A B", help="Compare two runs (run names or report.json files).")
@reporting
def command(
    run: str | None,
    project: str,
    store: str | None,
    diff: tuple[str, str] | None,
    form: str,
    output: str | None,
    quiet: bool,
) -> int:
    """Write the report of RUN again (default: the last), from the evidence store or a report.json.

    \b
    hauberk report                                    the last run, on the terminal
    hauberk report --format html -o report.html       as one file
    hauberk report 20261123T120000Z-1a2b3c4d          a run by its name
    hauberk report --diff old/report.json new/report.json
    hauberk report --diff RUN RUN --format markdown

    Exit status: that of the report's verdict; with --diff 0, or 1 where something got worse.
    """
    from hauberk.api.comparing import difference
    from hauberk.api.kept_reports import past
    from hauberk.cli.options import show_difference

    if diff:
        before, after = (past(name, project, store) for name in diff)
        found = difference(before, after)
        show_difference(found, form, output, quiet=quiet)
        return int(found.worse)
    made = past(run or "", project, store)
    show(made, form, output, quiet=quiet)
    return made.verdict().exit_status
