"""`hauberk verify`: hold a file or a folder against its seal, and the seal against whom you trust."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hauberk.api.verifying import Trust, Verified


@click.command("verify")
@click.argument("path", type=click.Path())
@click.option("--seal", metavar="FILE", default="", help="The seal, where it does not lie beside the files.")
@click.option("--key", metavar="FILE", multiple=True, help="Trust this public key, not the project's policy.")
@click.option("--roots", metavar="FILE", default="", help="Trust certificates below these authorities (PEM).")
@click.option("--trusted-root", metavar="FILE", default="", help="Trust Sigstore's trusted_root.json, with --identity.")
@click.option("--identity", metavar="NAME", default="", help="Whom the certificate must name; * wildcards.")
@click.option("--issuer", metavar="URL", default="", help="Who must have issued the identity.")
@click.option("--project", type=click.Path(), default=".", help="The folder whose hauberk.toml says whom to trust.")
@click.option("--ignore", metavar="PATH", multiple=True, help="Do not look at this path.")
@click.option("--allow-unsigned", is_flag=True, help="A manifest nobody signed will do.")
@click.option("--quick", is_flag=True, help="Hold BLAKE3 alone where the seal has it.")
@click.option("--ownership", metavar="FILE", default="", help="PATH is a suspect: does it answer this secret's marks?")
@click.option("--marks", type=click.IntRange(1), default=50, show_default=True, help="Marks, with --ownership.")
@click.option("--format", "form", type=click.Choice(["terminal", "json"]), default="terminal", show_default=True)
@click.option("--quiet", "-q", is_flag=True, help="No progress; only what is wrong.")
def command(
    path: str,
    seal: str,
    key: tuple[str, ...],
    roots: str,
    trusted_root: str,
    identity: str,
    issuer: str,
    project: str,
    ignore: tuple[str, ...],
    allow_unsigned: bool,
    quick: bool,
    ownership: str,
    marks: int,
    form: str,
    quiet: bool,
) -> int:
    """Hold PATH against its seal: which file changed, is missing, is extra; and whether the signer is trusted.

    Trust comes from [[seal.trust]] in hauberk.toml, or from the options. Nothing is fetched. Seals of model-signing
    (keys and certificates) and Sigstore bundles are read too.

    \b
    hauberk verify models/fraud
    hauberk verify models/fraud --key release.pub
    hauberk verify bert --trusted-root trusted_root.json --identity me@example.org --issuer https://…
    hauberk verify suspect.onnx --ownership secret.txt      was it made of the model this secret marks?

    With --ownership nothing is held against a seal: exit status 0 where chance explains the answers with a probability
    of at most 1 in 10,000, 1 where it may.

    Exit status: 0 all holds, 1 something does not, 2 usage, 3 a file could not be read.
    """
    from hauberk.api.verifying import verify
    from hauberk.cli.progress import progress

    if ownership:
        return _ownership(path, ownership, marks, project, form)
    trusted = _trust(project, key, roots, trusted_root, identity, issuer, unsigned=allow_unsigned)
    tidy = tuple(name.rstrip("/").removeprefix("./") for name in ignore)
    with progress(quiet=quiet) as bars:
        found = verify(path, trusted, seal=seal, ignore=tidy, quick=quick, progress=bars)
    if form == "json":
        from hauberk.core.encoding import canonical

        click.echo(canonical({"status": found.status, "verified": found}).decode())
    else:
        _show(found, quiet=quiet)
    return found.exit_status


def _ownership(path: str, secret: str, marks: int, project: str, form: str) -> int:
    """Ask the suspect about the secret's marks and print the p-value."""
    from hauberk.api.owning import ownership

    found = ownership(path, secret, count=marks, project=project)
    if form == "json":
        from hauberk.core.encoding import canonical

        click.echo(canonical(found).decode())
    else:
        click.echo(found.line())
    return 0 if found.proven else 1


def _trust(
    project: str,
    key: tuple[str, ...],
    roots: str,
    trusted_root: str,
    identity: str,
    issuer: str,
    *,
    unsigned: bool,
) -> Trust:
    """Take whom to trust from the options; where they name nobody, from the project's file."""
    from pathlib import Path

    import msgspec

    from hauberk.api.verifying import Trust
    from hauberk.core.project import FILE_NAME, SealSection, TrustSection, read

    if (identity or issuer) and not (roots or trusted_root):
        raise click.UsageError("--identity and --issuer go with --roots or --trusted-root")
    if trusted_root and not (identity.strip("*") and issuer):
        raise click.UsageError("--trusted-root needs --identity and --issuer: anyone with an account can sign")
    folder = Path(project) if Path(project).is_dir() else Path(project).parent
    section = read(folder).seal if (folder / FILE_NAME).exists() else SealSection()
    policy = Trust.of(section, folder)
    if key or roots or trusted_root:
        row = TrustSection(trusted_root=str(Path(trusted_root).resolve()), identity=identity, issuer=issuer)
        policy = msgspec.structs.replace(
            policy,
            keys=tuple(Path(one).resolve() for one in key),
            roots=(Path(roots).resolve(),) if roots else (),
            identity=identity,
            issuer=issuer,
            rows=(row,) if trusted_root else (),
        )
    return msgspec.structs.replace(policy, unsigned=unsigned)


def _show(found: Verified, *, quiet: bool) -> None:
    """Print what is wrong, a line each, then what was held."""
    for fault in found.faults:
        click.echo(f"{fault.kind}: {fault.path}: {fault.message}")
    if quiet:
        return
    for signature in found.signatures:
        when = f" at {signature.when} (proven by a log)" if signature.when else ""
        click.echo(f"{signature.statement} signed by {signature.signer}{when}, trusted as {signature.row}")
        for text in signature.unchecked:
            click.echo(f"  not checked: {text}")
    for note in found.notes:
        click.echo(f"note: {note}")
    if found.left_out:
        click.echo(f"not covered: {', '.join(found.left_out)}")
    word = {"met": "holds", "not met": "does NOT hold", "not measured": "could NOT be looked at whole"}[found.status]
    files = f"{found.files} files, sha256:{found.digest}" if found.digest else "no manifest"
    click.echo(f"{found.path}: {files}: {word}")
