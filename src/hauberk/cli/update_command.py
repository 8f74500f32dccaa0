"""`hauberk update`: newer advisories, by network only because this command was typed, or from a file."""

from __future__ import annotations

import click


@click.command("update")
@click.option("--from", "source", type=click.Path(), help="An OSV archive, a folder of records, or a file of ours.")
@click.option("--url", default=None, help="Fetch the archive from there instead of OSV.")
@click.option(
    "--releases", "project", type=click.Path(), help="Also ask the index for releases of what this project depends on."
)
@click.option("--index", default=None, help="Ask this index; {name} stands for the package.")
@click.option("--older", is_flag=True, help="Accept a list older or smaller than the one at hand.")
@click.option("--age", "only_age", is_flag=True, help="Only say how old the advisories at hand are; no network.")
@click.option("--quiet", "-q", is_flag=True, help="No progress, no talk.")
def command(
    source: str | None,
    url: str | None,
    project: str | None,
    index: str | None,
    older: bool,
    only_age: bool,
    quiet: bool,
) -> int:
    """Refresh the advisories that `hauberk scan` holds dependencies against.

    `scan` itself never uses a network. What is at hand stays in use when anything goes wrong here.

    \b
    hauberk update                      fetch OSV's archive for Python
    hauberk update --from all.zip       use one that was fetched elsewhere
    hauberk update --releases .         ask the index for yanked and newer releases too
    hauberk update --age                how old are they

    Exit status: 0 done, 2 usage, 3 could not be fetched or is no list of advisories.
    """
    from hauberk.api import updating
    from hauberk.cli.progress import progress

    if not only_age:
        with progress(quiet=quiet) as bars:
            done = updating.update(source, address=url or updating.OSV, older=older, progress=bars)
        if not quiet:
            click.echo(
                f"{done.advisories} advisories of {done.packages} packages, newest of {done.checked_on} "
                f"(before: {done.before}), read from {done.digest}"
                + (f"; {done.broken} records could not be read" if done.broken else "")
            )
        if project is not None:
            from hauberk.api.patching import dependencies

            with progress(quiet=quiet) as bars:
                came, failed = updating.update_releases(
                    dependencies(project), address=index or updating.INDEX, progress=bars
                )
            if not quiet:
                click.echo(f"releases of {came} packages" + (f"; not of: {'; '.join(failed[:5])}" if failed else ""))
    now = updating.age()
    if not quiet:
        click.echo(
            f"advisories of {now.packages} packages, {now.source} of {now.checked_on} ({now.days} days), "
            f"AI packages of {now.curated_on}" + (f"; {now.fault}" if now.fault else "")
        )
    return 0
