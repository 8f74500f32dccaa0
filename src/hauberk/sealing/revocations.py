"""What is revoked: keys, certificate serials and digests, in a signed list with dates and reasons."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

import msgspec

from hauberk.sealing.anchors import Attested
from hauberk.sealing.faults import Malformed
from hauberk.sealing.statement import REVOCATIONS, Manifest, head, moment, statement
from hauberk.sealing.strict_json import record

Kind: TypeAlias = Literal["key", "serial", "digest"]
KINDS: tuple[Kind, ...] = ("key", "serial", "digest")


class Revocation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must not be trusted any more.

    value: a key's id "sha256:…", a serial in hexadecimal, or a SHA-256 of a seal or of a file. since: RFC 3339.
    """

    kind: Kind
    value: str
    since: str
    reason: str = ""


class RevocationList(msgspec.Struct, frozen=True, kw_only=True):
    """A list as it was issued. number: grows by one with each list, so that an older one can be told."""

    number: int
    issued: str
    entries: tuple[Revocation, ...]


class _Statement(msgspec.Struct, frozen=True):
    predicate: RevocationList


def encode(found: RevocationList) -> bytes:
    """Write the statement that is signed."""
    return statement(REVOCATIONS, None, msgspec.to_builtins(found))


def decode(payload: bytes) -> RevocationList:
    """Read a list; raises Malformed."""
    if head(payload).predicateType != REVOCATIONS:
        raise Malformed("it is not a revocation list")
    found = record(payload, _Statement).predicate
    for entry in found.entries:
        moment(entry.since)
    return found


def extended(before: RevocationList | None, more: Iterable[Revocation], now: dt.datetime) -> RevocationList:
    """Add to a list; what stands in it stays."""
    old = before.entries if before else ()
    known = {(entry.kind, entry.value) for entry in old}
    fresh = tuple(entry for entry in more if (entry.kind, entry.value) not in known)
    number = before.number + 1 if before else 1
    return RevocationList(number=number, issued=now.isoformat(timespec="seconds"), entries=(*old, *fresh))


def parse(text: str, reason: str, now: dt.datetime) -> Revocation:
    """Read "key:sha256:…", "serial:1f…" or "digest:…"; raises ValueError."""
    kind, _, value = text.partition(":")
    value = value.strip().lower()
    for known in KINDS:
        if kind == known and value:
            bare = value.removeprefix("sha256:")
            if bare.strip("0123456789abcdef") or (known != "serial" and len(bare) != 64):
                break
            value = f"sha256:{bare}" if known == "key" else bare.lstrip("0") if known == "serial" else bare
            return Revocation(kind=known, value=value, since=now.isoformat(timespec="seconds"), reason=reason)
    raise ValueError(f'"{text}" is not key:ID, serial:HEX or digest:SHA256')


def revoked(
    entries: Sequence[Revocation], who: Attested, manifest: Manifest | None, now: dt.datetime
) -> Revocation | None:
    """Find what revokes a signature or what it is over.

    A key or certificate revoked today has signed nothing, whatever date the signer wrote: only a time that a log proves
    to lie before the revocation keeps a signature. A revoked digest is out whenever it was signed.
    """
    values = {("key", who.key)}
    if who.holder is not None:
        values.add(("serial", who.holder.serial))
    digests: set[str] = set()
    if manifest is not None:
        digests = {manifest.root, *(row.digest for row in manifest.resources)}
    for entry in entries:
        since = moment(entry.since)
        if since > now:
            continue
        if entry.kind == "digest" and entry.value in digests:
            return entry
        if (entry.kind, entry.value) in values and (who.when is None or who.when >= since):
            return entry
    return None
