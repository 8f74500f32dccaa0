"""`hauberk init`: look at the project, write hauberk.toml, or hardened deployment files."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("init")
@click.argument("folder", type=click.Path(file_okay=False), default=".")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.option("--deploy", is_flag=True, help="Write hardened deployment files to deploy/ instead.")
@click.option("--dry-run", is_flag=True, help="Print what would be written, write nothing.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
def command(folder: str, force: bool, deploy: bool, dry_run: bool, quiet: bool) -> None:
    """Look at FOLDER and write a commented hauberk.toml.

    File names, source text and the first table are read; nothing is imported, loaded or run.

    \b
    hauberk init             this folder
    hauberk init --dry-run   only show what it would write
    hauberk init --deploy    Dockerfile, Compose, Kubernetes and seccomp: no root, read-only, bounded, no way out
    """
    if deploy:
        _deploy(Path(folder), force=force, dry_run=dry_run, quiet=quiet)
        return
    from hauberk.api.initialising import init, look, propose

    found = look(Path(folder))
    if dry_run:
        click.echo(propose(found), nl=False)
        return
    path = init(folder, force=force)
    if quiet:
        return
    click.echo(f"wrote {path}")
    for kind in ("models", "data", "dependencies", "notebooks", "containers"):
        names = getattr(found, kind)
        click.echo(f"  {kind:<13} {', '.join(names[:4]) + (' …' if len(names) > 4 else '') if names else 'none found'}")
    click.echo("Read it, mend what is marked ←, then run `hauberk check`.")


def _deploy(folder: Path, *, force: bool, dry_run: bool, quiet: bool) -> None:
    """Write deployment files, or show them."""
    from hauberk.api.deploying import deploy, render
    from hauberk.api.initialising import look

    if dry_run:
        for name, text in render(folder, look(folder)).items():
            click.echo(f"# ---- deploy/{name}\n{text}")
        return
    written = deploy(folder, force=force)
    if not quiet:
        for path in written.paths:
            click.echo(f"wrote {path}")
        click.echo(f"Mend the {written.todo} places marked ←: digests first; nothing starts before that.")
