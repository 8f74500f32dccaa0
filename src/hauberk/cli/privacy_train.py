"""`hauberk privacy train`: train the project's model privately, on the record."""

from __future__ import annotations

import click

from hauberk.cli.options import pairs, reporting, show


@click.command("train")
@click.argument("folder", type=click.Path(exists=True, file_okay=False), default=".")
@click.option("--defense", default="privacy.dp_sgd", show_default=True, help="See `hauberk list defenses`.")
@click.option("--epsilon", type=click.FloatRange(min=0, min_open=True), help="ε of this run (its own default: 3).")
@click.option("--delta", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="δ (default: rows^-1.1).")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the defense.")
@click.option("--audit", type=click.IntRange(min=0), default=0, help="Audit the recipe with so many canaries.")
@click.option("--weights", type=click.Path(), help="Where to save the weights (default: MODEL.private.safetensors).")
@click.option("--seed", type=int, help="Of starting weights; noise and sampling stay secret.")
@reporting
def command(
    folder: str,
    defense: str,
    epsilon: float | None,
    delta: float | None,
    settings: tuple[str, ...],
    audit: int,
    weights: str | None,
    seed: int | None,
    form: str,
    output: str | None,
    quiet: bool,
) -> int:
    """Train the model of the project in FOLDER with differential privacy and print what was promised.

    What it cost is kept in the privacy ledger of the evidence store, together with all earlier runs on the same data;
    [privacy] epsilon in hauberk.toml limits their sum. The project's own model file is not changed.

    \b
    hauberk privacy train --epsilon 3
    hauberk privacy train --defense privacy.dp_adam --set steps=1000 --audit 1000

    Exit status: 0 done, 1 the audit refuted the promise, 2 usage, 3 could not be trained.
    """
    from pathlib import Path

    from hauberk.api.private_training import train
    from hauberk.cli.progress import progress

    given = pairs(settings)
    given |= {key: value for key, value in (("epsilon", epsilon), ("delta", delta)) if value is not None}
    with progress(quiet=quiet) as bars:
        made = train(
            folder,
            defense=defense,
            settings=given,
            weights=Path(weights) if weights else None,
            audit=audit,
            seed=seed,
            progress=bars,
        )
    show(made.report, form, output, quiet=quiet)
    if made.account is None:
        return 3
    if form == "terminal" and not quiet:
        click.echo(f"\n{made.text}")
    if made.weights and not quiet:
        click.echo(f"wrote {made.weights}", err=form != "terminal")
    refuted = any(row.passed is False for entry in made.report.measurements for row in entry.indicators)
    return 1 if refuted else 0
