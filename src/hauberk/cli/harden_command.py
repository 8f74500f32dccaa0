"""`hauberk harden`: train a harder model, measure before and after."""

from __future__ import annotations

import click

from hauberk.cli.options import pairs, reporting, show


@click.command("harden")
@click.argument("folder", type=click.Path(exists=True, file_okay=False), default=".")
@click.option("--threat", help="The threat of the project to harden against (default: its first evasion threat).")
@click.option("--defense", help="See `hauberk list defenses` (default: chosen by model, threat and budget).")
@click.option("--budget", metavar="SPAN", help="Train for so long, such as 10m, 90s or 1h30m.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes that train together.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint a broken run left.")
@click.option("--attack", help="The attack that chooses the best state (default: the one that fits the threat).")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the defense; may be given again."
)
@click.option(
    "--weights", type=click.Path(), help="Where to save the hardened weights (default: MODEL.hardened.safetensors)."
)
@click.option("--samples", type=click.IntRange(min=1), help="Measure on at most so many samples.")
@click.option("--seed", type=int, help="Seed of everything random, instead of [run] seed.")
@reporting
def command(
    folder: str,
    threat: str | None,
    defense: str | None,
    budget: str | None,
    workers: int | None,
    resume: bool,
    attack: str | None,
    settings: tuple[str, ...],
    weights: str | None,
    samples: int | None,
    seed: int | None,
    form: str,
    output: str | None,
    quiet: bool,
) -> int:
    """Train a harder model of the project in FOLDER and measure it before and after with the same attacks.

    The project's own model file is not changed: the hardened weights are saved beside it as safetensors, with a model
    card and the report.

    \b
    hauberk harden --budget 10m               against the first evasion threat
    hauberk harden --resume --budget 10m      after Ctrl-C or a crash
    hauberk harden --threat pixels --defense trades --set epochs=20
    hauberk harden --weights hardened.safetensors

    Exit status: that of the policy held against the hardened model.
    """
    from pathlib import Path

    from hauberk.api.hardening import harden
    from hauberk.cli.progress import progress

    with progress(quiet=quiet) as bars:
        made = harden(
            folder,
            threat=threat,
            defense=defense,
            budget=budget,
            resume=resume,
            attack=attack,
            settings={**pairs(settings), **({"workers": workers} if workers else {})},
            weights=Path(weights) if weights else None,
            samples=samples,
            seed=seed,
            progress=bars,
        )
    show(made.report, form, output, quiet=quiet)
    if made.why and not quiet:
        click.echo(f"{made.defense}: {made.why}", err=form != "terminal")
    if made.weights and not quiet:
        click.echo(f"wrote {made.weights} and {made.card}", err=form != "terminal")
    return made.report.verdict().exit_status
