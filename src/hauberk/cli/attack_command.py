"""`hauberk attack`: attack the model and measure how it holds."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import click

from hauberk.cli.options import executing, pairs, reporting, show

if TYPE_CHECKING:
    from hauberk.core.executing import ExecutorName
    from hauberk.core.project import Profile


@click.command("attack")
@click.argument("model", default=".")
@click.option(
    "--data", metavar="SOURCE", help="Labelled data where MODEL is no project, such as bundled:digits or a .npz."
)
@click.option("--factory", metavar="MODULE:CALLABLE", help="What builds the module of a .safetensors file.")
@click.option("--label", help="The label column where the data is a table.")
@click.option("--bounds", nargs=2, type=float, metavar="LOW HIGH", help="The range of every input value.")
@click.option(
    "--threat", "threats", multiple=True, help="A threat of the project, or a preset (`hauberk list threats`)."
)
@click.option(
    "--attack", "attacks", multiple=True, help="Run this attack instead of the default cascade; may be given again."
)
@click.option("--norm", type=click.Choice(["linf", "l2", "l1", "l0"]), help="The ball's norm.")
@click.option("--radius", help='The ball\'s radius in input units: 0.1 or "8/255".')
@click.option("--queries", type=click.IntRange(min=1), help="The attacker's budget.")
@click.option("--samples", type=click.IntRange(min=1), help="At most so many samples.")
@click.option(
    "--precision", type=click.FloatRange(0, 0.5, min_open=True), help="Stop when the interval is ± this narrow."
)
@click.option("--profile", type=click.Choice(["quick", "standard", "full"]), help="How hard the default attacks try.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the attack; may be given again."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@click.option("--trust", is_flag=True, help="Load a file that can run code (joblib, pickle).")
@executing
@reporting
def command(
    model: str,
    data: str | None,
    factory: str | None,
    label: str | None,
    bounds: tuple[float, float] | None,
    threats: tuple[str, ...],
    attacks: tuple[str, ...],
    norm: str | None,
    radius: str | None,
    queries: int | None,
    samples: int | None,
    precision: float | None,
    profile: Profile | None,
    settings: tuple[str, ...],
    seed: int,
    trust: bool,
    executor: ExecutorName | None,
    workers: int | None,
    address: str | None,
    form: str,
    output: str | None,
    quiet: bool,
) -> int:
    """Attack MODEL: a project's folder (default: here) or a model's source, with data named by --data.

    Nothing is kept in the evidence store: `hauberk check` does that.

    \b
    hauberk attack                                      every threat of this project
    hauberk attack --threat pixels --attack evasion.pgd --set steps=100
    hauberk attack model.onnx --data test.npz --bounds 0 1 --threat linf-8/255
    hauberk attack --executor processes                 on every core

    Exit status: 0 met (or no policy), 1 not met, 2 usage, 3 could not be measured.
    """
    from hauberk.api.attacking import attack_project, described
    from hauberk.api.executing import asked
    from hauberk.cli.progress import progress

    project, folder = described(model, data=data, factory=factory, label=label, bounds=bounds, seed=seed, trust=trust)
    project = asked(project, executor=executor, workers=workers, address=address)
    with progress(quiet=quiet) as bars:
        report = attack_project(
            project,
            folder,
            threats=threats,
            attacks=attacks,
            norm=norm,
            radius=radius,
            queries=queries,
            samples=samples,
            precision=precision,
            profile=profile,
            settings=pairs(settings),
            command=shlex.join(["hauberk", *sys.argv[1:]]),
            progress=bars,
        )
    show(report, form, output, quiet=quiet)
    return report.verdict().exit_status
