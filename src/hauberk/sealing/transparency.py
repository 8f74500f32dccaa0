"""Rekor entries in a bundle, verified offline: the log's promise and its time, the inclusion proof, the checkpoint."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from typing import NamedTuple

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from hauberk.core.errors import UsageError
from hauberk.crypto.certificates import Certificate, Untrusted, from_der
from hauberk.crypto.keys import Verifier, verifier
from hauberk.crypto.merkle import leaf_hash, verify_inclusion
from hauberk.sealing.bundle import Bundle, LogEntry
from hauberk.sealing.faults import Malformed, shown
from hauberk.sealing.statement import moment
from hauberk.sealing.strict_json import base64_text, record, unbase64

MAX_ENTRIES = 16


class _Window(msgspec.Struct, frozen=True):
    start: str = ""
    end: str = ""

    def covers(self, when: dt.datetime) -> bool:
        """Say whether a moment lies inside."""
        return (not self.start or moment(self.start) <= when) and (not self.end or when <= moment(self.end))


class _Key(msgspec.Struct, frozen=True):
    rawBytes: str
    validFor: _Window = _Window()


class _LogId(msgspec.Struct, frozen=True):
    keyId: str


class _Log(msgspec.Struct, frozen=True):
    publicKey: _Key
    logId: _LogId


class _Raw(msgspec.Struct, frozen=True):
    rawBytes: str


class _Chain(msgspec.Struct, frozen=True):
    certificates: tuple[_Raw, ...]


class _Authority(msgspec.Struct, frozen=True):
    certChain: _Chain
    validFor: _Window = _Window()


class _TrustedRoot(msgspec.Struct, frozen=True):
    mediaType: str
    tlogs: tuple[_Log, ...] = ()
    certificateAuthorities: tuple[_Authority, ...] = ()


class TrustedRoot(NamedTuple):
    """A Sigstore instance: its logs' keys by log id, and its certificate authorities with the time they stood for."""

    logs: dict[bytes, tuple[Verifier, _Window]]
    authorities: tuple[tuple[tuple[Certificate, ...], _Window], ...]

    def roots(self, when: dt.datetime) -> list[Certificate]:
        """Return the roots that stood at a moment."""
        return [chain[-1] for chain, window in self.authorities if window.covers(when)]

    def between(self, when: dt.datetime) -> list[Certificate]:
        """Return the intermediate authorities that stood at a moment."""
        return [one for chain, window in self.authorities if window.covers(when) for one in chain[:-1]]


def read_trusted_root(data: bytes) -> TrustedRoot:
    """Read a trusted_root.json; raises Malformed. Logs with keys of other kinds are left aside."""
    found = record(data, _TrustedRoot)
    if not found.mediaType.startswith("application/vnd.dev.sigstore.trustedroot"):
        raise Malformed(f"it is not a Sigstore trusted root but {shown(found.mediaType, 80)!r}")
    logs = {}
    for log in found.tlogs:
        try:
            key = verifier(serialization.load_der_public_key(unbase64(log.publicKey.rawBytes)), "trusted root")
        except (UsageError, ValueError, UnsupportedAlgorithm):
            continue
        logs[unbase64(log.logId.keyId)] = (key, log.publicKey.validFor)
    try:
        authorities = tuple(
            (tuple(from_der(unbase64(row.rawBytes)) for row in one.certChain.certificates), one.validFor)
            for one in found.certificateAuthorities
            if one.certChain.certificates
        )
    except Untrusted as error:
        raise Malformed(str(error)) from error
    return TrustedRoot(logs, authorities)


def logged(bundle: Bundle, leaf: Certificate, root: TrustedRoot) -> dt.datetime:
    """Verify that a log of this instance holds the signature, and return when it took it; raises Untrusted.

    Verified: the entry is of this payload, signature and certificate; the log's signed promise, which proves the time;
    the inclusion proof and the log's signed checkpoint. Needed are both promise and proof. Rekor v2 entries have their
    time from an RFC 3161 timestamp only, which is not read here, so they are refused with that reason.
    """
    if not 0 < len(bundle.entries) <= MAX_ENTRIES:
        raise Untrusted("it carries no entry of a transparency log")
    entry = bundle.entries[0]
    try:
        body = unbase64(entry.canonicalizedBody)
        identity = unbase64(entry.logId.keyId)
        if identity not in root.logs:
            raise Untrusted("its entry is of a log that the trusted root does not name")
        key, window = root.logs[identity]
        _holds(body, entry, bundle, leaf)
        when = _promised(entry, identity, key)
        if not window.covers(when):
            raise Untrusted("the log's key did not stand at the time of the entry")
        _included(entry, body, identity, key)
    except Malformed as error:
        raise Untrusted(f"its log entry is malformed: {error}") from error
    return when


class _Hash(msgspec.Struct, frozen=True):
    algorithm: str
    value: str


class _Signed(msgspec.Struct, frozen=True):
    signature: str
    verifier: str


class _Spec(msgspec.Struct, frozen=True):
    payloadHash: _Hash
    signatures: tuple[_Signed, ...]


class _Body(msgspec.Struct, frozen=True):
    kind: str
    apiVersion: str
    spec: _Spec


def _holds(body: bytes, entry: LogEntry, bundle: Bundle, leaf: Certificate) -> None:
    """See that the entry is of this very bundle."""
    if (entry.kindVersion.kind, entry.kindVersion.version) != ("dsse", "0.0.1"):
        word = shown(f"{entry.kindVersion.kind} {entry.kindVersion.version}", 60)
        raise Untrusted(f"its log entry is of kind {word}; offline only dsse 0.0.1 is read")
    found = record(body, _Body)
    pem = leaf.public_bytes(serialization.Encoding.PEM)
    expected = (_Signed(base64_text(bundle.signature or b""), base64_text(pem)),)
    payload = found.spec.payloadHash
    if (found.kind, found.apiVersion) != ("dsse", "0.0.1"):
        raise Untrusted("the log entry's body is of another kind than the entry")
    if (payload.algorithm, payload.value) != ("sha256", hashlib.sha256(bundle.payload).hexdigest()):
        raise Untrusted("the log entry is of another payload")
    if found.spec.signatures != expected:
        raise Untrusted("the log entry is of another signature or certificate")


def _promised(entry: LogEntry, identity: bytes, key: Verifier) -> dt.datetime:
    """Verify the signed entry timestamp over the canonical JSON of the entry."""
    if entry.inclusionPromise is None or not entry.integratedTime or entry.integratedTime == "0":
        raise Untrusted("no time of signing can be verified offline: the log entry has no signed entry timestamp")
    signed = {
        "body": entry.canonicalizedBody,
        "integratedTime": _number(entry.integratedTime),
        "logID": identity.hex(),
        "logIndex": _number(entry.logIndex),
    }
    message = json.dumps(signed, separators=(",", ":"), sort_keys=True).encode()
    if not key.verify(message, unbase64(entry.inclusionPromise.signedEntryTimestamp)):
        raise Untrusted("the log's signed entry timestamp does not hold")
    try:
        return dt.datetime.fromtimestamp(_number(entry.integratedTime), dt.UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Malformed("the time is out of range") from error


def _included(entry: LogEntry, body: bytes, identity: bytes, key: Verifier) -> None:
    """Verify the inclusion proof and the checkpoint it leads to."""
    proof = entry.inclusionProof
    if proof is None or proof.checkpoint is None:
        raise Untrusted("its log entry has no inclusion proof with a checkpoint")
    size, root = _number(proof.treeSize), unbase64(proof.rootHash)
    path = [unbase64(text) for text in proof.hashes]
    if not verify_inclusion(leaf_hash(body), _number(proof.logIndex), size, path, root):
        raise Untrusted("the log's inclusion proof does not hold")
    note, _, signatures = proof.checkpoint.envelope.partition("\n\n")
    lines = note.split("\n")
    if len(lines) < 3 or lines[1] != str(size) or unbase64(lines[2]) != root:
        raise Untrusted("the log's checkpoint is of another tree than the inclusion proof")
    message = (note + "\n").encode()
    for line in signatures.split("\n")[:MAX_ENTRIES]:
        mark, _, rest = line.partition(" ")
        raw = base64.b64decode(rest.rpartition(" ")[2]) if mark == "\u2014" else b""
        if raw[:4] == identity[:4] and key.verify(message, raw[4:]):
            return
    raise Untrusted("the log's checkpoint is not signed by the log")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise Malformed("a number is out of range")
    return int(text)
