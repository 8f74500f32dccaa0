"""`hauberk privacy statement`: all that was spent on the project's data, in plain words."""

from __future__ import annotations

import click


@click.command("statement")
@click.argument("folder", type=click.Path(exists=True, file_okay=False), default=".")
@click.option(
    "--delta", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="δ (default: [privacy] delta)."
)
@click.option("--quiet", "-q", is_flag=True, help="Print ε alone.")
def command(folder: str, delta: float | None, quiet: bool) -> int:
    """Add up what the privacy ledger knows of the data of the project in FOLDER.

    Exit status: 0, or 1 where [privacy] epsilon was passed.
    """
    from hauberk.api.private_training import spent

    found = spent(folder, delta=delta)
    if quiet:
        click.echo(f"{found.epsilon:.4f}")
    else:
        limit = "" if found.limit is None else f" of {found.limit:g} allowed"
        click.echo(f"ε = {found.epsilon:.4f}{limit} at δ = {found.delta:.3g}, {found.lines} lines in the ledger")
        if found.open:
            click.echo(f"{found.open} of them are runs that never settled; they are counted in full")
        click.echo(f"\n{found.text}")
    return int(found.limit is not None and found.epsilon > found.limit)
