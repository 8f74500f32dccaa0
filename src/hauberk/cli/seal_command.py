"""`hauberk seal`: sign what a model file or a folder consists of."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, cast

import click

from hauberk.cli.locking import Locking, locked, locking

if TYPE_CHECKING:
    import datetime as dt

    from hauberk.api.sealing import Sealed
    from hauberk.sealing.provenance import Origin

F = TypeVar("F", bound=Callable[..., Any])
DAYS = re.compile(r"(\d{1,5})d")


class About(NamedTuple):
    """What --provenance says of a training run."""

    parameter: tuple[str, ...]
    data: tuple[str, ...]
    run: str
    started: str
    builder: str


def originating(function: F) -> F:
    """Add --provenance and what goes with it, handed on as `about`: None where it is not asked for."""

    @functools.wraps(function)
    def gathered(*, provenance: bool, **given: Any) -> object:
        about = About(*(given.pop(name) for name in About._fields))
        if any(about) and not provenance:
            raise click.UsageError("--parameter, --data, --run, --started and --builder go with --provenance")
        return function(**given, about=about if provenance else None)

    for option in reversed(ORIGIN):
        gathered = option(gathered)
    return cast("F", gathered)


ORIGIN = (
    click.option("--provenance", is_flag=True, help="Also sign where it comes from (in-toto, SLSA v1)."),
    click.option("--parameter", metavar="NAME=VALUE", multiple=True, help="Of the training run, for --provenance."),
    click.option(
        "--data", metavar="NAME=PATH", multiple=True, help="A sealed folder, a file or a SHA-256 it was made of."
    ),
    click.option("--run", metavar="NAME", default="", help="The training run's own name, for --provenance."),
    click.option("--started", metavar="TIME", default="", help="When the training began, for --provenance."),
    click.option("--builder", metavar="URI", default="", help="Who vouches for the run, for --provenance."),
)


@click.command("seal")
@click.argument("path", type=click.Path(), required=False)
@click.option("--key", metavar="FILE", default="", help="The private key that signs (PEM; Ed25519, P-256 or P-384).")
@click.option("--certificate", metavar="FILE", multiple=True, help="Certificates of the key: the signer's own first.")
@click.option("--unsigned", is_flag=True, help="Write the manifest and let nobody sign it.")
@click.option("--output", "-o", metavar="FILE", default="", help="Write the seal there, not beside the files.")
@click.option("--ignore", metavar="PATH", multiple=True, help="Do not cover this path; the seal says so.")
@click.option("--git", is_flag=True, help="Cover .git and its companions too.")
@click.option(
    "--links",
    type=click.Choice(["refuse", "record", "follow"]),
    default="refuse",
    show_default=True,
    help="Symbolic links: refuse; record links inside the folder; follow to files anywhere.",
)
@click.option("--expires", metavar="DATE|DAYSd", default="", help="The seal ends then: 2027-01-31, or 90d.")
@click.option("--no-rows", is_flag=True, help="Do not digest the rows of tables (CSV, JSON Lines, Parquet, npz).")
@click.option("--diff", metavar="OLD", default="", help="Say what changed from the seal OLD to the seal PATH.")
@originating
@locking
@click.option("--new-key", metavar="FILE", default="", help="Make a signing key and its public half, and stop.")
@click.option("--kind", type=click.Choice(["ed25519", "p256", "p384"]), default="ed25519", show_default=True)
@click.option("--passphrase", is_flag=True, help="Lock the new key. HAUBERK_PASSPHRASE, or typed.")
@click.option("--revoke", metavar="WHAT", multiple=True, help="key:ID, serial:HEX or digest:SHA256: add to --output.")
@click.option("--reason", metavar="TEXT", default="", help="Why, for --revoke.")
@click.option("--format", "form", type=click.Choice(["terminal", "json"]), default="terminal", show_default=True)
@click.option("--quiet", "-q", is_flag=True, help="No progress, no talk.")
def command(
    path: str | None,
    key: str,
    certificate: tuple[str, ...],
    unsigned: bool,
    output: str,
    ignore: tuple[str, ...],
    git: bool,
    links: Literal["refuse", "record", "follow"],
    expires: str,
    no_rows: bool,
    diff: str,
    about: About | None,
    lock: Locking | None,
    new_key: str,
    kind: Literal["ed25519", "p256", "p384"],
    passphrase: bool,
    revoke: tuple[str, ...],
    reason: str,
    form: str,
    quiet: bool,
) -> int:
    """Sign what PATH, a model file or a folder of models or data, consists of.

    Every file is digested with SHA-256 and BLAKE3. The seal is a Sigstore bundle that model-signing (OpenSSF) verifies
    too, where the key is P-256 or P-384. Without a whole seal there is none: an unreadable file or a link is refused.

    \b
    hauberk seal --new-key release.pem --passphrase       once
    hauberk seal models/fraud --key release.pem           writes models/fraud/model.sig
    hauberk seal net.onnx --key k.pem --certificate me.pem --certificate issuing.pem
    hauberk seal models/fraud --key release.pem --provenance --data train=data/train --parameter epochs=20
    hauberk seal --revoke key:sha256:… --reason "laptop lost" --key release.pem -o revoked.sig
    hauberk seal --encrypt data/train.parquet --with file:data.key      writes data/train.parquet.sealed
    hauberk seal --diff data-v1 data-v2                                 files and rows added, changed, removed
    hauberk seal --rotate data/train.parquet.sealed --with file:data.key --to passphrase

    Exit status: 0 written, 2 usage, 3 a file could not be read or changed meanwhile (nothing is written).
    """
    if new_key:
        return _new_key(new_key, kind, passphrase)
    if revoke:
        return _revoke(output, revoke, reason, key)
    if lock is not None:
        return locked(path, lock, output, form, quiet=quiet)
    if path is None:
        raise click.UsageError("name the file or folder to seal")
    if diff:
        return _diff(diff, path, form)
    if bool(key) == unsigned:
        raise click.UsageError("give --key FILE (hauberk seal --new-key makes one), or --unsigned")
    asked = {"ignore": ignore, "git": git, "links": links, "expires": _moment(expires), "rows": not no_rows}
    return _seal(path, key, certificate, output, asked, about, form, quiet=quiet)


def _seal(
    path: str,
    key: str,
    certificate: tuple[str, ...],
    output: str,
    asked: dict[str, Any],
    about: About | None,
    form: str,
    *,
    quiet: bool,
) -> int:
    from hauberk.api.sealing import seal
    from hauberk.cli.progress import progress

    origin = _origin(Path(path), about)
    with progress(quiet=quiet) as bars:
        done = seal(
            path,
            key=key,
            passphrase=_passphrase(key),
            chain=certificate,
            output=output,
            origin=origin,
            progress=bars,
            **asked,
        )
    _show(done, form, quiet=quiet)
    return 0


def _origin(path: Path, about: About | None) -> Origin | None:
    from hauberk.api.origins import origin

    if about is None:
        return None
    return origin(
        path if path.is_dir() else path.parent,
        parameters=about.parameter,
        data=about.data,
        run=about.run,
        started=about.started,
        builder=about.builder,
    )


def _show(done: Sealed, form: str, *, quiet: bool) -> None:
    if form == "json":
        from hauberk.core.encoding import canonical

        rows = {name: getattr(done, name) for name in done.__struct_fields__}
        texts = {name: str(value) if isinstance(value, Path) else value for name, value in rows.items()}
        click.echo(canonical(texts).decode())
        return
    for note in done.notes:
        click.echo(f"note: {note}", err=True)
    if not quiet:
        signer = f"signed with {done.signer}" if done.signer else "signed by NOBODY"
        click.echo(f"{done.path}: {done.files} files, {signer}\ndigest sha256:{done.digest}")
        if done.provenance:
            click.echo(f"{done.provenance}: provenance")


def _diff(old: str, new: str, form: str) -> int:
    from hauberk.api.seal_differences import diff

    found = diff(old, new)
    if form == "json":
        from hauberk.core.encoding import canonical

        click.echo(canonical(found).decode())
    else:
        click.echo("\n".join(found.lines()) or "nothing changed")
    return 0


def _passphrase(key: str) -> str:
    """Take the key's passphrase from the environment or ask for it, where it has one."""
    from hauberk.crypto.keys import is_locked, read_small

    if not key or not is_locked(read_small(Path(key), "the private key")):
        return ""
    return os.environ.get("HAUBERK_PASSPHRASE", "") or click.prompt(f"passphrase of {key}", hide_input=True, err=True)


def _new_key(path: str, kind: Literal["ed25519", "p256", "p384"], locked: bool) -> int:
    from hauberk.api.sealing import new_key
    from hauberk.crypto.keys import public_path

    word = ""
    if locked:
        word = os.environ.get("HAUBERK_PASSPHRASE", "") or click.prompt(
            "passphrase", hide_input=True, confirmation_prompt=True, err=True
        )
    public = new_key(path, kind=kind, passphrase=word)
    click.echo(f"{path}: private, keep it\n{public_path(Path(path))}: public, give it away\nkey {public.id}")
    return 0


def _revoke(output: str, what: tuple[str, ...], reason: str, key: str) -> int:
    from hauberk.api.sealing import revoke

    if not output or not key:
        raise click.UsageError("--revoke needs --output FILE and --key FILE")
    found = revoke(output, what, reason=reason, key=key, passphrase=_passphrase(key))
    click.echo(f"{output}: list {found.number}, {len(found.entries)} entries")
    return 0


def _moment(text: str) -> dt.datetime | None:
    """Read a date, a moment, or a number of days."""
    import datetime as dt

    if not text:
        return None
    days = DAYS.fullmatch(text)
    if days:
        return dt.datetime.now(dt.UTC) + dt.timedelta(days=int(days[1]))
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError(f'--expires: "{text}" is no date') from error
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
