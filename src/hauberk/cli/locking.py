"""Options of `hauberk seal` that encrypt, and what they do."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import click

F = TypeVar("F", bound=Callable[..., Any])
SOURCES = "file:PATH, env:NAME, passphrase or pkcs11:token=…;object=…?module-path=…"


class Locking(NamedTuple):
    """What is asked for: --encrypt, --rotate or --new-secret."""

    encrypt: bool
    rotate: bool
    new_secret: str
    keys: tuple[str, ...]
    fresh: tuple[str, ...]


OPTIONS = (
    click.option("--encrypt", is_flag=True, help="Encrypt PATH to PATH.sealed (AES-256-GCM); see --with."),
    click.option("--with", "keys", metavar="KEY", multiple=True, help=f"The key: {SOURCES}."),
    click.option("--rotate", is_flag=True, help="Lock encrypted PATH with --to instead, leaving its data as it is."),
    click.option("--to", "fresh", metavar="KEY", multiple=True, help="A new key, for --rotate."),
    click.option("--new-secret", metavar="FILE", default="", help="Make a key file for --with file:FILE, and stop."),
)


def locking(function: F) -> F:
    """Add the options, handed on as `lock`: None where none of them is given."""

    @functools.wraps(function)
    def gathered(
        *,
        encrypt: bool,
        rotate: bool,
        new_secret: str,
        keys: tuple[str, ...],
        fresh: tuple[str, ...],
        **given: Any,
    ) -> object:
        if (keys or fresh) and not (encrypt or rotate):
            raise click.UsageError("--with and --to go with --encrypt or --rotate")
        asked = encrypt or rotate or new_secret
        return function(**given, lock=Locking(encrypt, rotate, new_secret, keys, fresh) if asked else None)

    for option in reversed(OPTIONS):
        gathered = option(gathered)
    return cast("F", gathered)


def ask(text: str, *, confirm: bool = False) -> Callable[[], str]:
    """Return what asks for a passphrase on the terminal."""

    def asked() -> str:
        word: str = click.prompt(text, hide_input=True, err=True, confirmation_prompt=confirm)
        return word

    return asked


def locked(path: str | None, lock: Locking, output: str, form: str, *, quiet: bool) -> int:
    """Do what was asked for; the exit status."""
    from hauberk.api.encrypting import encrypt, new_key_file, rotate
    from hauberk.cli.progress import progress

    if lock.new_secret:
        click.echo(f"{new_key_file(lock.new_secret)}: keep it, and a copy elsewhere: without it nothing opens again")
        return 0
    if path is None:
        raise click.UsageError("name the file or folder")
    if lock.rotate:
        done = rotate(path, lock.keys, lock.fresh, ask=ask("passphrase"), ask_fresh=ask("new passphrase", confirm=True))
        if not quiet:
            click.echo(f"{done.path}: {done.files} files locked with other keys, {done.size} bytes written")
        return 0
    with progress(quiet=quiet) as bars:
        done = encrypt(path, lock.keys, output=output, ask=ask("passphrase", confirm=True), progress=bars)
    if form == "json":
        from hauberk.core.encoding import canonical

        click.echo(canonical({"path": str(done.path), "files": done.files, "bytes": done.size}).decode())
    elif not quiet:
        again = f", {done.resumed} of them by an earlier try" if done.resumed else ""
        click.echo(f"{done.path}: {done.files} files, {done.size} bytes{again}; the plain files are still there")
    return 0
