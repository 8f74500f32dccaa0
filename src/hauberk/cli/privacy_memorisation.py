"""`hauberk privacy memorisation`: training records in what a model generated or retrieved."""

from __future__ import annotations

import click

from hauberk.cli.options import reporting, show


@click.command("memorisation")
@click.argument("generated", type=click.Path())
@click.option("--train", required=True, type=click.Path(), help="What the model was trained on.")
@click.option("--held", type=click.Path(), help="Records of the same source it has not seen, as a control.")
@reporting
def command(generated: str, train: str, held: str | None, form: str, output: str | None, quiet: bool) -> int:
    """Look for exact and near duplicates of training records in GENERATED.

    Texts: .txt, one a line, or .jsonl, each a string or an object with "text". Rows: .npy, or .npz with x. Records are
    named by index, never by value.

    \b
    hauberk privacy memorisation answers.jsonl --train corpus.txt --held unseen.txt
    hauberk privacy memorisation synthetic.npy --train patients.npy --held other_patients.npy

    Exit status: 0 measured, 2 usage, 3 could not be measured.
    """
    from hauberk.api.privacy_leakage import memorisation

    report = memorisation(generated, train, held)
    show(report, form, output, quiet=quiet)
    return report.verdict().exit_status
