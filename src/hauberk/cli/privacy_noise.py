"""`hauberk privacy noise`: the least noise that keeps a promise."""

from __future__ import annotations

import click


@click.command("noise")
@click.option("--rows", type=click.IntRange(min=1), required=True, help="Rows of the training data.")
@click.option("--batch", type=click.IntRange(min=1), required=True, help="Rows expected in a step.")
@click.option("--epsilon", type=click.FloatRange(min=0, min_open=True), required=True, help="The ε to keep.")
@click.option("--epochs", type=click.FloatRange(min=0, min_open=True), help="Passes over the data …")
@click.option("--steps", type=click.IntRange(min=1), help="… or steps.")
@click.option("--delta", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="δ (default: rows^-1.1).")
@click.option("--sampling", type=click.Choice(["poisson", "shuffled", "tree"]), default="poisson", show_default=True)
@click.option("--rows-per-unit", type=click.IntRange(1, 64), default=1, show_default=True, help="Rows of one person.")
@click.option("--unit", default="record", show_default=True, help="What is protected, in a word.")
@click.option("--method", default="best", show_default=True, help='"pld" or "rdp".')
@click.option("--quiet", "-q", is_flag=True, help="Print the noise multiplier alone.")
def command(
    rows: int,
    batch: int,
    epsilon: float,
    epochs: float | None,
    steps: int | None,
    delta: float | None,
    sampling: str,
    rows_per_unit: int,
    unit: str,
    method: str,
    quiet: bool,
) -> int:
    """Find the least noise multiplier with which a run costs at most ε.

    \b
    hauberk privacy noise --rows 60000 --batch 256 --epochs 60 --epsilon 3 --delta 1e-5
    """
    from typing import cast

    from hauberk.api.accounting import Scheme, noise, plan_of

    plan = plan_of(rows, batch, epochs=epochs, steps=steps, scheme=cast(Scheme, sampling))
    made = noise(plan, epsilon, delta=delta, rows_per_unit=rows_per_unit, unit=unit, method=method)
    line = f"noise multiplier {made.noise:.4f}, ε = {made.bound.epsilon:.4f}"
    click.echo(f"{made.noise:.4f}" if quiet else f"{line}\n\n{made.text}")
    return 0
