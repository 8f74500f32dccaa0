"""The verb `verify`: hold files against their seal, and the seal against whom the project trusts."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from hauberk.core.errors import UsageError
from hauberk.core.progress import Silent
from hauberk.core.project import FILE_NAME, SealSection, TrustSection, read
from hauberk.core.protocols import Progress
from hauberk.core.provenance import Clock, utc_now
from hauberk.crypto import certificates, keys
from hauberk.crypto.file_digests import Still
from hauberk.sealing import provenance, revocations, trust
from hauberk.sealing.anchors import Anchor, KeyAnchor, RootsAnchor, SigstoreAnchor
from hauberk.sealing.bundle import decode
from hauberk.sealing.comparing import Compared, compare
from hauberk.sealing.faults import Fault, Malformed, shown
from hauberk.sealing.places import bundle_bytes, rooted, seal_file, seals_beside
from hauberk.sealing.revocations import Revocation
from hauberk.sealing.row_blocks import is_rows_file, rows_file
from hauberk.sealing.row_faults import with_rows
from hauberk.sealing.transparency import read_trusted_root

_SILENT = Silent()
Status: TypeAlias = Literal["met", "not met", "not measured"]
EXIT: dict[Status, int] = {"met": 0, "not met": 1, "not measured": 3}


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a verifier trusts, and how much it asks for.

    keys: public keys in PEM. roots: certificate authorities in PEM; identity, issuer: what a certificate must name.
    rows: signers who may sign only some things. folder: what relative paths are relative to. unsigned: a manifest that
    nobody signed will do. signatures, provenance, revocations: as in [seal].
    """

    keys: tuple[Path, ...] = ()
    roots: tuple[Path, ...] = ()
    identity: str = ""
    issuer: str = ""
    rows: tuple[TrustSection, ...] = ()
    folder: Path = Path()
    unsigned: bool = False
    signatures: int = 1
    provenance: bool = False
    revocations: str = ""

    @classmethod
    def of(cls, section: SealSection, folder: Path) -> Trust:
        """Take it from a project file."""
        return cls(
            keys=tuple(Path(name) for name in section.keys),
            roots=tuple(Path(name) for name in section.roots),
            identity=section.identity,
            issuer=section.issuer,
            rows=section.trust,
            folder=folder,
            signatures=section.signatures,
            provenance=section.provenance,
            revocations=section.revocations,
        )

    def read(self) -> tuple[trust.Row, ...]:
        """Read the keys and certificates; raises UsageError where one cannot be read or nobody is trusted."""
        plain = [TrustSection(key=str(path)) for path in self.keys]
        plain += [TrustSection(roots=str(path), identity=self.identity, issuer=self.issuer) for path in self.roots]
        rows = tuple(_row(row, self.folder) for row in (*self.rows, *plain))
        if not rows and not self.unsigned:
            raise UsageError(
                "nobody is trusted, so no signature can mean anything",
                fix="give --key or --roots, or name signers in [seal] of hauberk.toml",
            )
        return rows


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    faults: everything that is wrong. signatures: those that are admitted. left_out: paths nobody looked at. notes: what
    a reader must know. digest: SHA-256 that names the whole, empty where no manifest could be read.
    """

    path: str
    faults: tuple[Fault, ...]
    digest: str = ""
    files: int = 0
    signatures: tuple[trust.Signature, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def signature(self) -> trust.Signature | None:
        """The first seal's signature that is admitted."""
        return next((one for one in self.signatures if one.statement == "seal"), None)

    @property
    def status(self) -> Status:
        """Met; not met where anything is wrong; not measured where something could not be read and nothing is wrong."""
        if any(fault.kind != "unreadable" for fault in self.faults):
            return "not met"
        return "not measured" if self.faults else "met"

    @property
    def exit_status(self) -> int:
        """0 met, 1 not met, 3 could not be measured."""
        return EXIT[self.status]


class Held(NamedTuple):
    """A verification, and what each file was while it was digested: a loader sees that it stayed so."""

    result: Verified
    root: Path
    states: dict[str, Still]


def verify(
    path: str | os.PathLike[str],
    trusted: Trust | None = None,
    *,
    project: str | os.PathLike[str] = ".",
    seal: str | os.PathLike[str] = "",
    ignore: Sequence[str] = (),
    quick: bool = False,
    progress: Progress = _SILENT,
    clock: Clock = utc_now,
) -> Verified:
    """Verify a sealed file or folder.

    trusted: whom; by default whom [seal] of the project's hauberk.toml names. seal: where it does not lie beside the
    files. ignore: paths not to look at. quick: hold BLAKE3 alone where the seal has it. Nothing is fetched.
    Raises UsageError for what the caller can mend; everything else is in the result.

    Example:
        >>> hauberk.verify("models/fraud").status  # doctest: +SKIP
    """
    if trusted is None:
        folder = Path(project) if Path(project).is_dir() else Path(project).parent
        section = read(folder).seal if (folder / FILE_NAME).exists() else SealSection()
        trusted = Trust.of(section, folder)
    return held(Path(path), trusted, seal=seal, ignore=ignore, quick=quick, progress=progress, clock=clock).result


def held(
    path: Path,
    trusted: Trust,
    *,
    seal: str | os.PathLike[str] = "",
    ignore: Sequence[str] = (),
    quick: bool = False,
    progress: Progress = _SILENT,
    clock: Clock = utc_now,
) -> Held:
    """Verify as `verify` does, and say what each file was meanwhile."""
    root, now, rows = rooted(path), clock(), trusted.read()
    files = seals_beside(Path(seal) if seal else seal_file(root))
    if not files:
        where = shown(str(seal or seal_file(root)))
        return Held(
            Verified(path=str(path), faults=(Fault(kind="unsealed", path=where, message="there is no seal"),)), root, {}
        )
    entries, faults = _revocations(trusted, rows, now)
    where = _below(root, trusted.folder)
    statements, malformed = _statements(files, where, rows, entries, now)
    faults += malformed
    seals = [one for one in statements if one.statement == "seal"]
    good, refused = _signed(seals, trusted)
    faults += [*refused, *_counted(good, trusted)]
    chosen = good or seals
    if not chosen:
        faults += (
            [] if faults else [Fault(kind="unsealed", path=shown(str(files[0])), message="no bundle holds a manifest")]
        )
        return Held(Verified(path=str(path), faults=tuple(faults)), root, {})
    compared = _compared(root, chosen, files, ignore, quick, progress)
    differing = dict.fromkeys(fault for one in compared for fault in one.faults)
    faults += [with_rows(root, files[0], chosen[0].manifest, fault) for fault in differing]
    faults += _provenance(statements, chosen, trusted)
    aside = [one.fault for one in statements if one.fault is not None and one.fault not in faults and one not in good]
    result = Verified(
        path=str(path),
        digest=chosen[0].manifest.root if chosen[0].manifest else "",
        files=compared[0].files,
        faults=tuple(msgspec.structs.replace(fault, path=shown(fault.path)) for fault in faults),
        signatures=tuple(one.signature for one in statements if one.signature is not None),
        left_out=tuple(sorted({shown(name) for one in compared for name in one.left_out})),
        notes=tuple(f"{fault.path} does not count: {fault.message}" for fault in aside),
    )
    return Held(result, root, compared[0].states)


def _statements(
    files: Sequence[Path], where: str, rows: Sequence[trust.Row], entries: Sequence[Revocation], now: dt.datetime
) -> tuple[list[trust.Held], list[Fault]]:
    """Read every bundle and hold it to the policy."""
    statements, faults = [], []
    for file in files:
        name = shown(str(file))
        try:
            statements.append(trust.admit(name, decode(bundle_bytes(file)), where, rows, entries, now))
        except Malformed as error:
            faults.append(Fault(kind="malformed", path=name, message=str(error)))
    return statements, faults


def _signed(seals: Sequence[trust.Held], trusted: Trust) -> tuple[list[trust.Held], list[Fault]]:
    """Part seals that count from those that do not; a refused one is a fault unless enough others are good."""
    good = [one for one in seals if one.signature is not None]
    if good and len(_signers(good)) >= trusted.signatures:
        return good, []
    bare = [one for one in seals if trusted.unsigned and one.fault is not None and one.fault.kind == "unsigned"]
    return good or bare, [one.fault for one in seals if one.fault is not None and one not in bare]


def _signers(good: Sequence[trust.Held]) -> set[str]:
    return {one.signature.key for one in good if one.signature is not None}


def _counted(good: Sequence[trust.Held], trusted: Trust) -> list[Fault]:
    count = len(_signers(good))
    if not count or count >= trusted.signatures:
        return []
    message = f"{count} of {trusted.signatures} signers that are asked for"
    return [Fault(kind="untrusted", path=good[0].file, message=message)]


def _compared(
    root: Path,
    chosen: Sequence[trust.Held],
    files: Sequence[Path],
    ignore: Sequence[str],
    quick: bool,
    progress: Progress,
) -> list[Compared]:
    """Compare with each manifest once; signers who sealed the same files share the work."""
    base = root.resolve()
    beside = [rows for file in files if is_rows_file(rows := rows_file(file))]
    places = [file.parent.resolve() / file.name for file in (*files, *beside)]
    aside = [whole.relative_to(base).as_posix() for whole in places if whole != base and whole.is_relative_to(base)]
    done: dict[bytes, Compared] = {}
    for one in chosen:
        assert one.manifest is not None
        key = msgspec.json.encode((one.manifest.resources, one.manifest.serialization, one.manifest.more))
        if key not in done:
            done[key] = compare(root, one.manifest, aside=aside, ignored=ignore, quick=quick, progress=progress)
    return list(done.values())


def _provenance(statements: Sequence[trust.Held], chosen: Sequence[trust.Held], trusted: Trust) -> list[Fault]:
    """See that a required provenance statement is there, admitted, and of this very seal."""
    if not trusted.provenance:
        return []
    digests = {one.manifest.root for one in chosen if one.manifest is not None}
    reasons = []
    for one in statements:
        if one.statement != "provenance":
            continue
        try:
            about = provenance.subject_of(one.payload)
        except Malformed as error:
            reasons.append(f"{one.file}: {error}")
            continue
        if one.signature is not None and about in digests:
            return []
        reasons.append(one.fault.message if one.fault is not None else f"{one.file} is about another seal")
    message = "; ".join(reasons) or "the policy asks for provenance, and there is none"
    return [Fault(kind="provenance", path=chosen[0].file, message=message)]


def _revocations(
    trusted: Trust, rows: Sequence[trust.Row], now: dt.datetime
) -> tuple[tuple[Revocation, ...], list[Fault]]:
    """Read the list the policy names; one that is missing, or not signed by who may, is a fault."""
    if not trusted.revocations:
        return (), []
    path = trusted.folder / trusted.revocations
    lists = [row for row in rows if "revocations" in row.statements]
    try:
        bundle = decode(bundle_bytes(path))
        found = trust.admit(shown(str(path)), bundle, "", lists, (), now)
        if found.statement != "revocations":
            raise Malformed("it is not a revocation list")
        if found.fault is not None:
            return (), [msgspec.structs.replace(found.fault, message=f"the revocation list: {found.fault.message}")]
        return revocations.decode(bundle.payload).entries, []
    except Malformed as error:
        return (), [Fault(kind="malformed", path=shown(str(path)), message=f"the revocation list: {error}")]


def _row(section: TrustSection, folder: Path) -> trust.Row:
    """Read a row's key or certificates; raises UsageError."""
    anchor: Anchor
    if section.key:
        anchor = KeyAnchor(keys.read_public(folder / section.key))
    elif section.roots:
        anchor = RootsAnchor(tuple(certificates.read_pem(folder / section.roots)))
    else:
        where = folder / section.trusted_root
        try:
            anchor = SigstoreAnchor(read_trusted_root(bundle_bytes(where)))
        except Malformed as error:
            raise UsageError(f"is no trusted root: {error}", where=str(where)) from error
    return trust.Row(
        name=section.name or Path(section.key or section.roots or section.trusted_root).name,
        anchor=anchor,
        identity=section.identity,
        issuer=section.issuer,
        paths=section.paths,
        statements=section.statements or ("seal", "provenance"),
        until=section.until,
    )


def _below(root: Path, folder: Path) -> str:
    """Name what is verified as the policy's patterns do: relative to the project, else whole."""
    whole, base = root.parent.resolve() / root.name, folder.resolve()
    return whole.relative_to(base).as_posix() if whole.is_relative_to(base) else whole.as_posix()
