"""`hauberk privacy leakage`: hidden columns, typical inputs of classes, and examples in gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hauberk.cli.options import pairs, reporting, show

if TYPE_CHECKING:
    from hauberk.api.privacy_leakage import Kind


@click.command("leakage")
@click.argument("project", default=".", type=click.Path())
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(["attributes", "inversion", "gradients"]),
    help="Only this; may be given again.",
)
@click.option("--attack", "attacks", multiple=True, help="Run this attack instead of the default; may be given again.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the one attack named.")
@click.option("--column", "columns", multiple=True, help="A column the attacker wants, instead of the sensitive ones.")
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Records in one gradient.")
@click.option("--noise", type=click.FloatRange(min=0), default=0.0, help="Noise a client adds to its gradient.")
@click.option("--seed", type=int, default=None, help="Seed of everything random.")
@reporting
def command(
    project: str,
    only: tuple[Kind, ...],
    attacks: tuple[str, ...],
    settings: tuple[str, ...],
    columns: tuple[str, ...],
    batch: int,
    noise: float,
    seed: int | None,
    form: str,
    output: str | None,
    quiet: bool,
) -> int:
    """Attack the model of PROJECT (default: here) for what it gives away beside membership.

    Hidden columns of a table are guessed with the model and without it; classes are inverted; and what a federated
    client would send is turned back into its records.

    \b
    hauberk privacy leakage --only attributes --column age
    hauberk privacy leakage --only gradients --batch 4 --noise 0.01

    Exit status: 0 measured, 2 usage, 3 could not be measured.
    """
    from hauberk.api.privacy_leakage import leakage
    from hauberk.cli.progress import progress

    if settings and len(attacks) != 1:
        raise click.UsageError("--set needs exactly one --attack")
    with progress(quiet=quiet) as bars:
        report = leakage(
            project,
            only=only,
            attacks=attacks,
            settings={attacks[0]: pairs(settings)} if settings else None,
            columns=columns,
            batch=batch,
            noise=noise,
            seed=seed,
            progress=bars,
        )
    show(report, form, output, quiet=quiet)
    return report.verdict().exit_status
