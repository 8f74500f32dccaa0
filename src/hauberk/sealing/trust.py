"""Who may sign what: the rows of a trust policy, and whether one of them admits a signed statement."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from hauberk.crypto.certificates import Untrusted
from hauberk.sealing.anchors import Anchor, Attested, BadSignature, attest
from hauberk.sealing.bundle import Bundle
from hauberk.sealing.faults import Fault, FaultKind, Malformed, shown
from hauberk.sealing.revocations import Revocation, revoked
from hauberk.sealing.statement import PROVENANCE, REVOCATIONS, SEAL, Manifest, decode, head

Statement: TypeAlias = Literal["seal", "provenance", "revocations"]
STATEMENTS: dict[str, Statement] = {SEAL: "seal", PROVENANCE: "provenance", REVOCATIONS: "revocations"}


class Row(NamedTuple):
    """One signer that is trusted. identity may hold * wildcards; empty: anyone the roots name. until: last day."""

    name: str
    anchor: Anchor
    identity: str = ""
    issuer: str = ""
    paths: tuple[str, ...] = ("*",)
    statements: tuple[str, ...] = ()
    until: dt.date | None = None


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """A signature that a row admits.

    row: of the policy. signer: the certificate's name or the key's id. when: RFC 3339 where a log proves it, or empty.
    unchecked: what was not looked at.
    """

    file: str
    statement: Statement
    row: str
    signer: str
    key: str
    when: str = ""
    unchecked: tuple[str, ...] = ()


class Held(NamedTuple):
    """A statement read from a bundle, and whether it is admitted."""

    file: str
    statement: Statement
    payload: bytes
    manifest: Manifest | None
    signature: Signature | None
    fault: Fault | None


def read(bundle: Bundle) -> tuple[Statement, Manifest | None]:
    """Say what a bundle states; raises Malformed."""
    kind = head(bundle.payload).predicateType
    if kind not in STATEMENTS:
        raise Malformed(f"it states {shown(kind, 80)!r}, which is not known here")
    return STATEMENTS[kind], decode(bundle.payload) if kind == SEAL else None


def admit(
    file: str, bundle: Bundle, path: str, rows: Sequence[Row], revocations: Sequence[Revocation], now: dt.datetime
) -> Held:
    """Hold a bundle to the policy. path: of what is sealed, as the policy's patterns name it. Raises Malformed."""
    kind, manifest = read(bundle)

    def refused(reason: FaultKind, message: str) -> Held:
        return Held(file, kind, bundle.payload, manifest, None, Fault(kind=reason, path=file, message=message))

    if bundle.signature is None:
        return refused("unsigned", "nobody signed this manifest")
    if not rows:
        return refused("untrusted", "no key, certificate or policy says whom to trust")
    reasons: list[tuple[FaultKind, str]] = []
    for row in rows:
        try:
            who = attest(bundle, row.anchor, now)
            _may(row, who, kind, path, now)
        except BadSignature as error:
            reasons.append(("signature", f"{row.name}: {error}"))
        except Untrusted as error:
            reasons.append(("untrusted", f"{row.name}: {error}"))
        except Malformed as error:
            reasons.append(("malformed", f"{row.name}: {error}"))
        else:
            entry = revoked(revocations, who, manifest, now)
            if entry is not None:
                why = f": {shown(entry.reason)}" if entry.reason else ""
                return refused("revoked", f"the {entry.kind} {entry.value} is revoked since {entry.since}{why}")
            end = manifest.expires() if manifest else None
            if end is not None and end <= now:
                return refused("expired", f"the seal ended at {end.isoformat()}")
            return Held(file, kind, bundle.payload, manifest, _signature(file, kind, row, who), None)
    worst = min(reasons, key=lambda pair: pair[0] != "signature")
    return refused(worst[0], "; ".join(text for _, text in reasons[:8]))


def _may(row: Row, who: Attested, kind: Statement, path: str, now: dt.datetime) -> None:
    """Hold the signer to the row; raises Untrusted."""
    if row.until is not None and now.date() > row.until:
        raise Untrusted(f"is trusted until {row.until} only")
    if row.statements and kind not in row.statements:
        raise Untrusted(f"may not sign a {kind}")
    if kind != "revocations" and not any(fnmatchcase(path, pattern) for pattern in row.paths):
        raise Untrusted(f"may not sign {shown(path)}")
    if row.identity or row.issuer:
        if who.holder is None:
            raise Untrusted("an identity is asked for, and a bare key has none")
        if row.identity and not any(fnmatchcase(name, row.identity) for name in who.holder.names):
            raise Untrusted(f"the certificate names {shown(', '.join(who.holder.names) or 'nobody')}")
        if row.issuer and row.issuer != who.holder.issuer:
            raise Untrusted(f"the identity was issued by {shown(who.holder.issuer or 'nobody known')}")


def _signature(file: str, kind: Statement, row: Row, who: Attested) -> Signature:
    name = who.holder.names[0] if who.holder is not None and who.holder.names else who.key
    when = who.when.isoformat() if who.when else ""
    return Signature(
        file=file, statement=kind, row=row.name, signer=shown(name), key=who.key, when=when, unchecked=who.unchecked
    )
