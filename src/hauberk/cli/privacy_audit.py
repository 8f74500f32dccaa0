"""`hauberk privacy audit`: tell training members from others, and name who is exposed."""

from __future__ import annotations

from pathlib import Path

import click

from hauberk.cli.options import executing, pairs, reporting, show


@click.command("audit")
@click.argument("source", default=".")
@click.option("--attack", "attacks", multiple=True, help="Run this attack instead of the default; may be given again.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the one attack named.")
@click.option("--references", type=click.IntRange(min=0), help="Reference models to train, instead of [privacy].")
@click.option("--seconds", type=click.FloatRange(min=0), help="Begin no new reference model after so long.")
@click.option("--records", type=click.Path(dir_okay=False), help="Write every record's score and risk there, as CSV.")
@click.option("--max-auc", type=click.FloatRange(0, 1), help="Exit with 1 where an attack's area is above.")
@click.option("--seed", type=int, default=None, help="Seed of everything random.")
@executing
@reporting
def command(
    source: str,
    attacks: tuple[str, ...],
    settings: tuple[str, ...],
    references: int | None,
    seconds: float | None,
    records: str | None,
    max_auc: float | None,
    seed: int | None,
    executor: str | None,
    workers: int | None,
    address: str | None,
    form: str,
    output: str | None,
    quiet: bool,
) -> int:
    """Tell training members of SOURCE from others: a project's folder (default: here), or an .npz.

    The .npz holds `member` (n,) and logits or probabilities (n, classes) with labels (n,); or losses (n,); predictions
    and values (n, …) of a regressor; embeddings (n, views, d); token_log_probabilities (n, t) of a language model; or
    canaries and canary_references. Answers of reference models stand beside them as reference_logits (k, n, classes)
    and reference_member (k, n). Records are named by index, never by value.

    \b
    hauberk privacy audit --references 8 --records risks.csv
    hauberk privacy audit answers.npz --max-auc 0.6
    hauberk privacy audit --references 64 --executor ray

    Exit status: 0 met (or nothing asked), 1 not met, 2 usage, 3 could not be measured.
    """
    from hauberk.api.privacy_audit import audit
    from hauberk.cli.progress import progress

    if settings and len(attacks) != 1:
        raise click.UsageError("--set needs exactly one --attack")
    with progress(quiet=quiet) as bars:
        report = audit(
            source,
            attacks=attacks,
            settings={attacks[0]: pairs(settings)} if settings else None,
            references=references,
            seconds=seconds,
            records=Path(records) if records else None,
            most_auc=max_auc,
            seed=seed,
            executor=executor,
            workers=workers,
            address=address,
            progress=bars,
        )
    show(report, form, output, quiet=quiet)
    return report.verdict().exit_status
