"""`hauberk data`: audit a data set, propose what to expect of it, repair it into a new file, measure its drift."""

from __future__ import annotations

from typing import Literal

import click

from hauberk.cli.options import reporting, show


@click.group("data")
def command() -> None:
    """Audit, expect, repair, undo, drift: a data set by file, folder or SQL address.

    \b
    hauberk data audit train.parquet --label y
    hauberk data expect train.csv                     propose [data.columns] for hauberk.toml
    hauberk data repair train.csv --label y -o clean.csv
    hauberk data undo clean.csv -o train-again.csv
    hauberk data drift january.csv february.csv
    hauberk data mask people.csv -o masked.csv
    hauberk data suspects                             training rows that look planted
    hauberk data fresh data-v1 data-v2 --label y      rows added since a seal, against those sealed before
    hauberk data influence                            training rows that hold decisions
    """


@command.command("audit")
@click.argument("source", required=False, default="")
@click.option("--folder", type=click.Path(file_okay=False), default=".", help="Where hauberk.toml is looked for.")
@click.option("--label", metavar="COLUMN", default="", help="The label column, instead of [data] label.")
@click.option("--train", metavar="SOURCE", default="", help="Rows the model learnt: none may stand in SOURCE.")
@click.option("--earlier", metavar="SOURCE", default="", help="An earlier version, to measure drift against.")
@click.option("--sample", type=click.IntRange(min=0), help="Rows compared with each other.  [default: 10000]")
@reporting
def audit_command(
    source: str,
    folder: str,
    label: str,
    train: str,
    earlier: str,
    sample: int | None,
    form: str,
    output: str | None,
    quiet: bool,
) -> int:
    """Read SOURCE once (default: the project's data) and say what is wrong with it, by row.

    CSV, Parquet, NumPy, JSON Lines, Arrow, folders of images or Arrow shards, SQL tables ("sqlite:///a.db#loans"), of
    any size. Nothing is loaded that could run code; evidence names rows, never their values.

    Exit status: 0 nothing at or above the policy's severity, 1 something, 3 something could not be looked at.
    """
    from hauberk.api.auditing import Manner, audit
    from hauberk.cli.progress import progress, telling

    manner = Manner(label=label, train=train, earlier=earlier, sample=sample)
    with progress(quiet=quiet) as bars:
        report = audit(source, folder=folder, manner=manner, progress=bars, seen=telling(bars))
    show(report, form, output, quiet=quiet)
    return report.verdict().exit_status


@command.command("drift")
@click.argument("earlier")
@click.argument("now")
@click.option("--label", metavar="COLUMN", default="", help="The label column.")
@reporting
def drift_command(earlier: str, now: str, label: str, form: str, output: str | None, quiet: bool) -> int:
    """Say how NOW differs from EARLIER, column by column and as a whole, false discoveries held down.

    Exit status: 0 nothing at or above the policy's severity, 1 something, 3 something could not be looked at.
    """
    from hauberk.api.data_drift import drift
    from hauberk.cli.progress import progress

    with progress(quiet=quiet) as bars:
        report = drift(earlier, now, label=label, progress=bars)
    show(report, form, output, quiet=quiet)
    return int(report.verdict().exit_status)


@command.command("expect")
@click.argument("source")
@click.option("--label", metavar="COLUMN", default="", help="The label column.")
@click.option("--output", "-o", type=click.Path(dir_okay=False), help="Write there; an existing file is not replaced.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def expect_command(source: str, label: str, output: str | None, quiet: bool) -> None:
    """Propose what to expect of SOURCE, from what it holds now: a baseline for hauberk.toml, to be read and mended."""
    from hauberk.api.data_expect import expect
    from hauberk.cli.progress import progress

    with progress(quiet=quiet) as bars:
        text = expect(source, label=label, output=output, progress=bars)
    click.echo(text if output is None else f"wrote {output}", nl=output is not None)


@command.command("repair")
@click.argument("source")
@click.option(
    "--output", "-o", required=True, type=click.Path(dir_okay=False), help="The new file; never SOURCE itself."
)
@click.option("--folder", type=click.Path(file_okay=False), default=".", help="Where hauberk.toml is looked for.")
@click.option("--label", metavar="COLUMN", default="", help="The label column, instead of [data] label.")
@click.option("--relabel", is_flag=True, help="Give suspected rows the likelier label; otherwise they are dropped.")
@click.option("--keep-labels", is_flag=True, help="Leave suspected labels as they are.")
@click.option("--impute", is_flag=True, help="Fill missing values with the median or the most frequent value.")
@click.option("--dry-run", is_flag=True, help="Say what would be changed, write nothing.")
@click.option("--quiet", "-q", is_flag=True, help="No progress, no talk.")
def repair_command(
    source: str,
    output: str,
    folder: str,
    label: str,
    relabel: bool,
    keep_labels: bool,
    impute: bool,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Write a mended copy of SOURCE, and beside it OUTPUT.changes.jsonl with a reason for every row.

    Rows that break a declared expectation, repeat an earlier one, conflict or probably bear a wrong label are dropped,
    or mended where that was asked for. SOURCE stays as it is; `hauberk data undo` makes it again from the two files.
    """
    from hauberk.api.data_repair import repair
    from hauberk.cli.progress import progress
    from hauberk.core.tables import Wishes

    labels: Literal["drop", "relabel", "keep"] = "keep" if keep_labels else "relabel" if relabel else "drop"
    wishes = Wishes(label=label, labels=labels, impute=impute)
    with progress(quiet=quiet) as bars:
        done = repair(source, output, folder=folder, wishes=wishes, dry_run=dry_run, progress=bars)
    if quiet:
        return
    for reason, count in done.reasons:
        click.echo(f"{count:>8,} {reason}")
    click.echo(
        "nothing was written"
        if dry_run
        else f"wrote {output}: {done.rows:,} of {done.before:,} rows\nwrote {done.changes}"
    )


@command.command("undo")
@click.argument("repaired", type=click.Path(dir_okay=False))
@click.option(
    "--output", "-o", required=True, type=click.Path(dir_okay=False), help="Where the data as it was is written."
)
@click.option("--changes", type=click.Path(dir_okay=False), default="", help="The change list, if not beside REPAIRED.")
@click.option("--quiet", "-q", is_flag=True, help="No talk.")
def undo_command(repaired: str, output: str, changes: str, quiet: bool) -> None:
    """Make the data as it was before `hauberk data repair`, from the repaired file and its change list."""
    from hauberk.api.data_repair import undo

    rows = undo(repaired, output, changes=changes)
    if not quiet:
        click.echo(f"wrote {output}: {rows:,} rows, as they were")


@command.command("suspects")
@click.argument("folder", type=click.Path(file_okay=False), default=".")
@click.option(
    "--detector", "detectors", multiple=True, metavar="NAME", help="Only these, such as poison.predicate_lift."
)
@click.option("--model", is_flag=True, help="Those too that need the project's model; some train it anew.")
@click.option("--rows", type=click.Path(dir_okay=False), help="Write the flagged rows there, as JSON Lines.")
@click.option("--seed", type=int, help="Of everything random.")
@reporting
def suspects_command(
    folder: str,
    detectors: tuple[str, ...],
    model: bool,
    rows: str | None,
    seed: int | None,
    form: str,
    output: str | None,
    quiet: bool,
) -> int:
    """Look for training rows that were planted: triggers, blended patterns, relabelled rows.

    Every detector says which poison it cannot see; the report prints that list. How well they do on poison that is
    planted for the purpose: [threats.NAME] detectors = ["poison.predicate_lift"] and `hauberk attack`.

    Exit status: 0 nothing at or above the policy's severity, 1 something, 3 something could not be looked at.
    """
    from pathlib import Path

    from hauberk.api.suspecting import suspects
    from hauberk.cli.progress import progress

    with progress(quiet=quiet) as bars:
        found = suspects(
            folder, detectors=detectors, model=model, rows=Path(rows) if rows else None, seed=seed, progress=bars
        )
    show(found.report, form, output, quiet=quiet)
    return int(found.report.verdict().exit_status)


@command.command("influence")
@click.argument("folder", type=click.Path(file_okay=False), default=".")
@click.option("--inputs", type=click.IntRange(min=1), default=50, show_default=True, help="Test rows looked at.")
@click.option(
    "--checked",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Of them, trained anew without the rows.",
)
@click.option("--neighbours", type=click.IntRange(min=1), default=5, show_default=True, help="Rows that vote.")
@click.option("--rows", type=click.Path(dir_okay=False), help="Write inputs and their rows there, as JSON Lines.")
@click.option("--seed", type=int, help="Of everything random.")
@reporting
def influence_command(
    folder: str,
    inputs: int,
    checked: int,
    neighbours: int,
    rows: str | None,
    seed: int | None,
    form: str,
    output: str | None,
    quiet: bool,
) -> int:
    """Count the training rows that turn decisions: how many, which ones, and whether training without them does it.

    Exactly for a vote of nearest neighbours; for a linear head on the model's features by influence, then checked by
    training the model anew. The fewer rows hold a decision, the cheaper it is to poison.

    Exit status: 0 measured, 3 something could not be measured.
    """
    from pathlib import Path

    from hauberk.api.influence import influence
    from hauberk.cli.progress import progress

    with progress(quiet=quiet) as bars:
        found = influence(
            folder,
            inputs=inputs,
            checked=checked,
            neighbours=neighbours,
            rows=Path(rows) if rows else None,
            seed=seed,
            progress=bars,
        )
    show(found.report, form, output, quiet=quiet)
    return int(found.report.verdict().exit_status)


@command.command("fresh")
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
@click.option("--label", metavar="COLUMN", required=True, help="The label column of the tables.")
@click.option("--neighbours", type=click.IntRange(min=1), default=10, show_default=True, help="Trusted rows that vote.")
@reporting
def fresh_command(old: str, new: str, label: str, neighbours: int, form: str, output: str | None, quiet: bool) -> int:
    """Weigh the rows of NEW that the seal OLD did not cover against those that both cover.

    A new row stands out where it pulls a fit of the trusted rows far, or bears a label that its trusted neighbours
    deny. Somebody who adds rows to poison a model shows in how many do. Signatures are not looked at: verify first.

    Exit status: 0 the new rows are like the others, 1 they are not, 3 something could not be looked at.
    """
    from hauberk.api.fresh_rows import fresh

    report = fresh(old, new, label=label, neighbours=neighbours)
    show(report, form, output, quiet=quiet)
    return int(report.verdict().exit_status)


@command.command("mask")
@click.argument("source", type=click.Path())
@click.option("--output", "-o", required=True, type=click.Path(dir_okay=False), help="The new file.")
@click.option(
    "--manner",
    type=click.Choice(["redact", "mask", "pseudonym"]),
    default="redact",
    show_default=True,
    help="[CARD]; all but the last four; or a keyed token, the same for the same value.",
)
@click.option("--key", metavar="KEY", default="", help="file:PATH or env:NAME, for pseudonyms.")
@click.option("--keep-format", is_flag=True, help="Pseudonyms with digits and letters where the value had them.")
@click.option("--quiet", "-q", is_flag=True, help="No progress, no talk.")
def mask_command(source: str, output: str, manner: str, key: str, keep_format: bool, quiet: bool) -> None:
    """Write SOURCE (CSV, JSON Lines, Parquet, text) anew without the personal data that is found in it.

    What was not recognised is still there: audit the new file too. No value is printed or kept.
    """
    from hauberk.api.masking import mask
    from hauberk.cli.progress import progress

    with progress(quiet=quiet) as bars:
        done = mask(source, output, manner=manner, key=key, keep_format=keep_format, progress=bars)
    if quiet:
        return
    for one in done.columns:
        click.echo(f"{one.rows:>8,} rows of {one.column}: {one.kind}")
    click.echo(f"wrote {output}: {done.replaced:,} values replaced")
