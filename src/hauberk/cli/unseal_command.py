"""`hauberk unseal`: decrypt what `hauberk seal --encrypt` encrypted."""

from __future__ import annotations

import click

from hauberk.cli.locking import SOURCES, ask


@click.command("unseal")
@click.argument("path", type=click.Path())
@click.option("--with", "keys", metavar="KEY", multiple=True, help=f"The key: {SOURCES}.")
@click.option("--output", "-o", metavar="PATH", default="", help="Write there, not beside the encrypted file.")
@click.option("--locks", is_flag=True, help="Say which keys open PATH, and stop.")
@click.option("--format", "form", type=click.Choice(["terminal", "json"]), default="terminal", show_default=True)
@click.option("--quiet", "-q", is_flag=True, help="No progress, no talk.")
def command(path: str, keys: tuple[str, ...], output: str, locks: bool, form: str, quiet: bool) -> int:
    """Decrypt PATH, a file NAME.sealed or a folder of such files. A file of the plain name is never replaced.

    Without --with the keys are those that HAUBERK_OPEN_WITH, HAUBERK_KEY or HAUBERK_PASSPHRASE name. Models and data
    sets need no unsealing: name NAME.sealed in hauberk.toml, and they are opened in memory.

    \b
    hauberk unseal data/train.parquet.sealed --with file:data.key
    hauberk unseal --locks data/train.parquet.sealed

    Exit status: 0 written, 2 usage or a wrong key, 3 the file is not what was written, or the disk is full.
    """
    from hauberk.core.encoding import canonical

    if locks:
        from hauberk.api.encrypting import locks as locks_of

        found = locks_of(path)
        if form == "json":
            click.echo(canonical(found).decode())
        else:
            click.echo("\n".join(f"{one.kind} {one.id}".rstrip() for one in found))
        return 0
    from hauberk.api.unsealing import unseal
    from hauberk.cli.progress import progress

    with progress(quiet=quiet) as bars:
        done = unseal(path, keys, output=output, ask=ask("passphrase"), progress=bars)
    if form == "json":
        click.echo(canonical({"path": str(done.path), "files": done.files, "bytes": done.size}).decode())
    elif not quiet:
        click.echo(f"{done.path}: {done.files} files, {done.size} bytes")
    return 0
