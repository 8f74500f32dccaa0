"""`hauberk privacy epsilon`: what a private training run costs, before it is run."""

from __future__ import annotations

import click

SCHEMES = click.Choice(["poisson", "shuffled", "tree"])


@click.command("epsilon")
@click.option("--rows", type=click.IntRange(min=1), required=True, help="Rows of the training data.")
@click.option("--batch", type=click.IntRange(min=1), required=True, help="Rows expected in a step.")
@click.option("--noise", type=click.FloatRange(min=0), required=True, help="Noise multiplier (1.1 is usual).")
@click.option("--epochs", type=click.FloatRange(min=0, min_open=True), help="Passes over the data …")
@click.option("--steps", type=click.IntRange(min=1), help="… or steps.")
@click.option("--delta", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="δ (default: rows^-1.1).")
@click.option("--sampling", type=SCHEMES, default="poisson", show_default=True, help="How rows are really drawn.")
@click.option("--rows-per-unit", type=click.IntRange(1, 64), default=1, show_default=True, help="Rows of one person.")
@click.option("--unit", default="record", show_default=True, help="What is protected, in a word.")
@click.option("--microbatch", type=click.IntRange(min=1), default=1, help="Rows clipped together, if not one by one.")
@click.option("--method", default="best", show_default=True, help='"pld" or "rdp"; what is no bound is refused.')
@click.option("--quiet", "-q", is_flag=True, help="Print ε alone.")
def command(
    rows: int,
    batch: int,
    noise: float,
    epochs: float | None,
    steps: int | None,
    delta: float | None,
    sampling: str,
    rows_per_unit: int,
    unit: str,
    microbatch: int,
    method: str,
    quiet: bool,
) -> int:
    """Compute ε of DP-SGD, DP-Adam or DP-FTRL and say in plain words what it promises.

    \b
    hauberk privacy epsilon --rows 60000 --batch 256 --noise 1.1 --epochs 60 --delta 1e-5
    hauberk privacy epsilon --rows 60000 --batch 256 --noise 1.1 --epochs 60 --sampling shuffled
    """
    from typing import cast

    from hauberk.api.accounting import Scheme, cost, plan_of

    plan = plan_of(rows, batch, noise=noise, epochs=epochs, steps=steps, scheme=cast(Scheme, sampling))
    made = cost(plan, delta=delta, rows_per_unit=rows_per_unit, unit=unit, method=method, microbatch=microbatch)
    click.echo(f"{made.bound.epsilon:.4f}" if quiet else f"ε = {made.bound.epsilon:.4f}\n\n{made.text}")
    return 0
