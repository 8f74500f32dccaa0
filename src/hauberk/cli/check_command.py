"""`hauberk check`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hauberk.cli.options import executing, reporting, show

if TYPE_CHECKING:
    from hauberk.core.executing import ExecutorName
    from hauberk.core.project import Profile


@click.command("check")
@click.argument("folder", type=click.Path(), default=".")
@click.option("--resume", is_flag=True, help="Go on with the last run that was broken off.")
@click.option("--samples", type=click.IntRange(min=1), help="At most so many samples a threat.")
@click.option(
    "--precision", type=click.FloatRange(0, 0.5, min_open=True), help="Stop when an interval is ± this narrow."
)
@click.option("--decide", is_flag=True, help="Stop a threat once its figure lies clearly on one side of its bound.")
@click.option("--profile", type=click.Choice(["quick", "standard", "full"]), help="How hard the default attacks try.")
@click.option("--only", multiple=True, metavar="THREAT", help="Only this threat (or scan); may be given again.")
@click.option("--seed", type=int, help="Seed of everything random, instead of [run] seed.")
@click.option("--store", metavar="URL", help="Keep evidence there, instead of [store] url.")
@click.option("--formats", metavar="A,B", help="Report files to write, instead of [report] formats; none: write none.")
@executing
@reporting
def command(
    folder: str,
    resume: bool,
    samples: int | None,
    precision: float | None,
    decide: bool,
    profile: Profile | None,
    only: tuple[str, ...],
    seed: int | None,
    store: str | None,
    formats: str | None,
    executor: ExecutorName | None,
    workers: int | None,
    address: str | None,
    form: str,
    output: str | None,
    quiet: bool,
) -> int:
    """Scan FOLDER, attack its model under every threat of hauberk.toml, and judge both against its policy.

    Evidence is kept in the signed store and in report files. Ctrl-C keeps what was measured.

    \b
    hauberk check                          this folder
    hauberk check --precision 0.02         as many samples as ±2 % needs, no more
    hauberk check --decide                 no more samples than the policy's question needs
    hauberk check --profile full           the strongest figures: AutoAttack's four attacks and more
    hauberk check --only scan              without the attacks
    hauberk check --resume                 go on after Ctrl-C, a crash or kill -9
    hauberk check --executor processes     on every core; --executor ray --address HOST:PORT on a cluster
    hauberk check --format markdown -q     for a pull request's comment

    Exit status: 0 met, 1 not met, 2 usage, 3 could not be measured.
    """
    from hauberk.api.checking import check
    from hauberk.api.reporting import destination, report
    from hauberk.cli.progress import progress

    with progress(quiet=quiet) as bars:
        made = check(
            folder,
            resume=resume,
            samples=samples,
            precision=precision,
            decide=decide,
            profile=profile,
            only=only,
            seed=seed,
            store=store,
            executor=executor,
            workers=workers,
            address=address,
            progress=bars,
        )
    where, names = destination(Path(folder), output, formats)
    written = report(made, where, names)  # before anything is printed: a closed pipe must not cost the files
    show(made, form, None, quiet=quiet and form == "terminal")
    for path in written if not quiet else ():
        click.echo(f"wrote {path}", err=form != "terminal")
    return made.verdict().exit_status
