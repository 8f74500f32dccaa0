"""`hauberk evidence`: what was measured, when, of what; and the proof that nobody changed it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from hauberk.core.evidence import Entry

F = TypeVar("F", bound=Callable[..., Any])


def located(function: F) -> F:
    """Add --project and --store."""
    function = click.option("--project", type=click.Path(), default=".", help="The project's folder.")(function)
    return click.option("--store", metavar="URL", help="The evidence store, instead of [store] url.")(function)


def formatted(function: F) -> F:
    """Add --format."""
    forms = click.Choice(["terminal", "json"])
    return click.option("--format", "form", type=forms, default="terminal", show_default=True)(function)


@click.group("evidence")
def command() -> None:
    """List, show, verify and prove what was measured.

    Every run appends its evidence to a log: canonical JSON, hashed into an RFC 6962 Merkle tree, its head signed with
    Ed25519. Nothing can be changed, taken out, put in another order or put back without `verify` finding it.

    \b
    hauberk evidence log             the runs, newest first
    hauberk evidence show            what the last run recorded
    hauberk evidence verify          exit status 0: all is as it was signed
    hauberk evidence prove 12        that entry 12 is in the log, for someone with only the public key
    """


@command.command("log")
@located
@formatted
def log(project: str, store: str | None, form: str) -> None:
    """List the runs, newest first.

    \b
    hauberk evidence log --format json
    """
    from hauberk.api.evidence import opened

    with opened(Path(project), store) as kept:
        runs = kept.runs()
    if form == "json":
        _json(runs)
        return
    for run in runs:
        counts = ", ".join(f"{count.number} {count.kind}" for count in run.counts)
        click.echo(f"{run.run}  {run.project}  {run.status or 'broken off'}  {counts}")
    if not runs:
        click.echo("no run yet")


@command.command("show")
@click.argument("run", default="latest")
@click.option("--kind", type=click.Choice(["finding", "measurement", "skipped", "exhibit", "checkpoint"]))
@located
@formatted
def show(run: str, kind: str | None, project: str, store: str | None, form: str) -> None:
    """Show what RUN recorded, an entry a line with its index in the log.

    RUN is a run's name, the beginning of it, or "latest".

    \b
    hauberk evidence show --kind measurement
    hauberk evidence show 20261123 --format json
    """
    from hauberk.api.evidence import opened
    from hauberk.stores.records import kind_of

    with opened(Path(project), store) as kept:
        leaves = kept.leaves(kept.find(run).run)
    chosen = [leaf for leaf in leaves if kind is None or kind_of(leaf.entry) == kind]
    if form == "json":
        _json(chosen)
        return
    for leaf in chosen:
        click.echo(f"{leaf.index:>6}  {kind_of(leaf.entry):<12}  {_line(leaf.entry)}")  # type: ignore[arg-type]


@command.command("verify")
@located
@formatted
def verify(project: str, store: str | None, form: str) -> int:
    """Look at every entry, every signed head and the witness file, and name all that is wrong.

    Exit status: 0 all is as it was signed, 1 something is not.

    \b
    hauberk evidence verify
    """
    from hauberk.api.evidence import opened

    with opened(Path(project), store) as kept:
        found = kept.verify()
    if form == "json":
        _json(found)
        return int(not found.ok)
    for problem in found.problems:
        place = "" if problem.index is None else f" at {problem.index}"
        click.echo(f"{problem.kind}{place}: {problem.message}")
    word = "as it was signed" if found.ok else "NOT as it was signed"
    click.echo(f"{found.size} entries, {found.checkpoints} signed heads, key {found.key}: {word}")
    click.echo(f"root {found.root}")
    return int(not found.ok)


@command.command("prove")
@click.argument("index", type=click.IntRange(min=0), required=False)
@click.option(
    "--since", type=click.IntRange(min=1), metavar="SIZE", help="Prove that the log of SIZE entries was only added to."
)
@click.option("--output", "-o", type=click.Path(dir_okay=False), help="Write the proof there.")
@located
def prove(index: int | None, since: int | None, output: str | None, project: str, store: str | None) -> None:
    """Prove that the entry at INDEX is in the log, or with --since that an earlier log is a prefix of today's.

    The proof is JSON; tools/verify_evidence.py checks it offline with the public key (.hauberk/keys/evidence.pub) and
    nothing of hauberk.

    \b
    hauberk evidence prove 12 -o proof.json
    hauberk evidence prove --since 40 -o proof.json
    """
    from hauberk.api.evidence import opened
    from hauberk.core.encoding import canonical

    if (index is None) == (since is None):
        raise click.UsageError("give either INDEX or --since SIZE")
    with opened(Path(project), store) as kept:
        proof = kept.prove_consistency(since) if since is not None else kept.prove_inclusion(index or 0)
    data = canonical(proof)
    if output:
        Path(output).write_bytes(data + b"\n")
        click.echo(f"wrote {output}", err=True)
    else:
        click.echo(data)


@command.command("head")
@located
def head(project: str, store: str | None) -> None:
    """Print the newest signed head of the log: size, root, time, signature.

    Whoever keeps it elsewhere can show later that the log was not cut short or written anew.

    \b
    hauberk evidence head > kept.head
    """
    from hauberk.api.evidence import opened

    with opened(Path(project), store) as kept:
        _json(kept.head())


@command.command("trust")
@located
@click.confirmation_option(prompt="Trust the log as it is now, whatever happened to its witness file?")
def trust(project: str, store: str | None) -> None:
    """Write the witness file anew, after you looked why it is gone or contradicts the log.

    \b
    hauberk evidence trust --yes
    """
    from hauberk.api.evidence import opened

    with opened(Path(project), store, read_only=False) as kept:
        _json(kept.adopt_head())


def _json(value: object) -> None:
    from hauberk.core.encoding import canonical

    click.echo(canonical(value))


def _line(entry: Entry) -> str:
    """Word one entry."""
    from hauberk.core.evidence import Exhibit, Finding, Measurement, Skipped

    if isinstance(entry, Finding):
        return f"{entry.severity} {entry.rule} at {entry.location}: {entry.message}"
    if isinstance(entry, Measurement):
        under = f" under {entry.threat}" if entry.threat else ""
        return f"{entry.name}{under} = {entry.value:.4g} [{entry.low:.4g}, {entry.high:.4g}] n={entry.n} ({entry.role})"
    if isinstance(entry, Skipped):
        return f"{entry.subject}: {entry.reason}"
    if isinstance(entry, Exhibit):
        return f"{entry.threat}: {entry.predicted_clean} → {entry.predicted_adversarial}"
    return " ".join(str(getattr(entry, name)) for name in ("step", "part", "run", "status") if hasattr(entry, name))
