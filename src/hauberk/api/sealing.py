"""The verb `seal`: write a signed manifest of a model or data folder, its provenance, keys, and revocation lists."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from hauberk.core.errors import MeasurementError, UsageError
from hauberk.core.progress import Silent
from hauberk.core.protocols import Progress
from hauberk.core.provenance import Clock, utc_now
from hauberk.crypto import certificates, keys
from hauberk.sealing import provenance, revocations
from hauberk.sealing.anchors import BadSignature, KeyAnchor, attest, sign
from hauberk.sealing.bundle import Bundle, decode, encode
from hauberk.sealing.faults import Fault, Malformed, shown
from hauberk.sealing.places import bundle_bytes, provenance_file, rooted, seal_file, seals_beside
from hauberk.sealing.row_blocks import Rows, is_rows_file, rows_file
from hauberk.sealing.row_blocks import encode as encode_rows
from hauberk.sealing.sealing import make
from hauberk.sealing.statement import encode as encode_statement
from hauberk.sealing.table_rows import SUFFIXES
from hauberk.sealing.tree import GIT_NAMES, Links, is_proper
from hauberk.sealing.writing import write_whole

_SILENT = Silent()
MAX_NAMED = 20
"""Faults an error lists; the rest is counted."""


class SealingFailed(MeasurementError):
    """Something could not be sealed, so nothing is."""


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """What was written. path: the seal. digest: SHA-256 that names the whole. signer: the key's id, or empty."""

    path: Path
    sealed: Path
    digest: str
    files: int
    signer: str
    provenance: Path | None = None
    notes: tuple[str, ...] = ()


def beside(path: Path) -> Path:
    """Name the seal of a folder (model.sig in it) or of a file (FILE.sig)."""
    return seal_file(rooted(path))


def seal(
    path: str | os.PathLike[str],
    *,
    key: str | os.PathLike[str] = "",
    passphrase: str = "",
    chain: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    output: str | os.PathLike[str] = "",
    ignore: Sequence[str] = (),
    git: bool = False,
    links: Links = "refuse",
    expires: dt.datetime | None = None,
    rows: bool = True,
    origin: provenance.Origin | None = None,
    progress: Progress = _SILENT,
    clock: Clock = utc_now,
) -> Sealed:
    """Digest every file (SHA-256 and BLAKE3) and write the signed manifest beside it, whole or not at all.

    key: a private key in PEM; without one nobody signs. chain: certificates of the key, the signer's own first. output:
    instead of `beside`. ignore: paths not covered, which the seal says. git: cover .git and its companions too. rows:
    digest the rows of tables too (CSV, JSON Lines, Parquet, npz), so that `verify` and `diff` name rows. origin: also
    write a provenance statement, signed likewise. Raises UsageError, and SealingFailed naming what cannot be sealed.

    Example:
        >>> hauberk.seal("models/fraud", key="release.pem")  # doctest: +SKIP
    """
    root = rooted(Path(path))
    signer, certified = _signer(key, passphrase, chain) if key else (None, ())
    if origin is not None and signer is None:
        raise UsageError("provenance that nobody signs says nothing", fix="give a key")
    target = Path(output) if output else seal_file(root)
    statement = provenance_file(target) if origin is not None else None
    now = clock()
    made = make(
        root,
        name=root.resolve().name,
        ignored=_left_out(root, [target, *_beside(root, target, statement, rows=rows)], ignore, git=git),
        links=links,
        now=now,
        expires=expires,
        rows=rows,
        progress=progress,
    )
    if made.manifest is None:
        raise _failed(made.faults, root)
    manifest = made.manifest
    if origin is not None and statement is not None and signer is not None:
        vouched = provenance.encode(manifest.subject, origin, now)
        write_whole(statement, encode(sign(vouched, signer, certified)))
    _write_rows(rows_file(target), made.tables)
    write_whole(target, _signed(encode_statement(manifest), signer, certified))
    return Sealed(
        path=target,
        sealed=root,
        digest=manifest.root,
        files=len(manifest.resources),
        signer=signer.public.id if signer else "",
        provenance=statement,
        notes=tuple(shown(note) for note in made.notes),
    )


def _signed(payload: bytes, signer: keys.Signer | None, certified: tuple[bytes, ...]) -> bytes:
    """Put a statement into a bundle, signed where somebody signs."""
    return encode(sign(payload, signer, certified) if signer else Bundle(payload=payload, signature=None))


def _signer(
    key: str | os.PathLike[str], passphrase: str, chain: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
) -> tuple[keys.Signer, tuple[bytes, ...]]:
    """Read key and chain, and see that they belong together; raises UsageError."""
    signer = keys.read_private(Path(key), passphrase.encode())
    files = [chain] if isinstance(chain, str | os.PathLike) else list(chain)
    found = [one for file in files for one in certificates.read_pem(Path(file))]
    if found:
        try:
            certified = certificates.key_of(found[0])
        except certificates.Untrusted as error:
            raise UsageError(str(error), where=str(files[0])) from error
        if certified.id != signer.public.id:
            raise UsageError(
                "the certificate is not of this key", where=str(files[0]), fix="give the signer's own certificate first"
            )
    return signer, tuple(certificates.der(one) for one in found)


def _left_out(root: Path, written: Sequence[Path], ignore: Sequence[str], *, git: bool) -> list[str]:
    """List what a seal does not cover: itself and other signers', git's own names, what the caller says."""
    names = [_tidy(name) for name in ignore]
    if root.is_dir():
        names += [] if git else GIT_NAMES
        others = [*seals_beside(written[0]), *seals_beside(seal_file(root))]
        seals = [*written, *others, *(rows for one in others if is_rows_file(rows := rows_file(one)))]
        names += [name for one in seals if (name := _inside(one, root))]
    return sorted(set(names))


def _beside(root: Path, target: Path, statement: Path | None, *, rows: bool) -> list[Path]:
    """List what is written beside a seal, which it cannot cover: provenance, and rows where there is a table."""
    found = [statement] if statement else []
    tables = rows and any(path.suffix.lower() in SUFFIXES for path in (root.rglob("*") if root.is_dir() else [root]))
    return [*found, rows_file(target)] if tables or is_rows_file(rows_file(target)) else found


def _write_rows(path: Path, tables: Mapping[str, Rows]) -> None:
    """Write the digests of rows, or take an older seal's away; a file of that name that is none is never touched."""
    ours = is_rows_file(path)
    if tables and os.path.lexists(path) and not ours:
        raise UsageError(
            "there is a file of that name, and it is no list of rows",
            where=str(path),
            fix="rename it, or say --no-rows",
        )
    if tables:
        write_whole(path, encode_rows(tables))
    elif ours:
        path.unlink()


def _failed(faults: Sequence[Fault], root: Path) -> SealingFailed:
    rows = [f"{shown(fault.path)}: {fault.message}" for fault in faults]
    more = [f"… and {len(rows) - MAX_NAMED} more"] if len(rows) > MAX_NAMED else []
    return SealingFailed(
        "cannot be sealed whole:\n  " + "\n  ".join([*rows[:MAX_NAMED], *more]),
        where=shown(str(root)),
        fix="mend or --ignore them; --links record or follow for symbolic links",
    )


def new_key(path: str | os.PathLike[str], *, kind: keys.Kind = "ed25519", passphrase: str = "") -> keys.Verifier:
    """Make a signing key (PKCS #8, mode 0600, locked where there is a passphrase) and its public half beside it.

    Never replaces a file. Raises UsageError.
    """
    private, signer = Path(path), keys.new(kind)
    public = keys.public_path(private)
    for one in (private, public):
        if os.path.lexists(one):
            raise UsageError("there is a file of that name", where=str(one), fix="name another key")
    write_whole(private, signer.pem(passphrase.encode()), private=True, fresh=True)
    write_whole(public, signer.public.pem(), fresh=True)
    return signer.public


def revoke(
    path: str | os.PathLike[str],
    what: Sequence[str],
    *,
    reason: str,
    key: str | os.PathLike[str],
    passphrase: str = "",
    clock: Clock = utc_now,
) -> revocations.RevocationList:
    """Add keys, serials or digests to a signed revocation list, or begin one; the older list must be this key's own.

    what: "key:sha256:…", "serial:HEX" or "digest:SHA256". Raises UsageError.
    """
    now, place = clock(), Path(path)
    signer, _ = _signer(key, passphrase, ())
    before = None
    if place.exists():
        try:
            bundle = decode(bundle_bytes(place))
            attest(bundle, KeyAnchor(signer.public), now)
            before = revocations.decode(bundle.payload)
        except (Malformed, BadSignature, certificates.Untrusted) as error:
            raise UsageError(
                f"is not a revocation list of this key: {error}", where=str(path), fix="name another file"
            ) from error
    try:
        fresh = [revocations.parse(text, reason, now) for text in what]
    except ValueError as error:
        raise UsageError(str(error), where="--revoke") from error
    found = revocations.extended(before, fresh, now)
    write_whole(place, encode(sign(revocations.encode(found), signer)))
    return found


def _tidy(name: str) -> str:
    """Normalise a path to leave out; raises UsageError where it does not lie inside."""
    plain = name.replace(os.sep, "/").removeprefix("./").rstrip("/")
    if plain == "." or not is_proper(plain):
        raise UsageError(f'"{shown(name)}" is no path inside the folder', where="--ignore")
    return plain


def _inside(path: Path, root: Path) -> str:
    """Name a path relative to a sealed folder; empty where it lies elsewhere."""
    whole, base = path.parent.resolve() / path.name, root.resolve()
    return whole.relative_to(base).as_posix() if root.is_dir() and whole.is_relative_to(base) else ""
