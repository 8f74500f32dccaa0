"""Sigstore bundles v0.3: one DSSE envelope with one signature, and what it is verified with."""

from __future__ import annotations

import json

import msgspec

from hauberk.sealing.faults import Malformed, shown
from hauberk.sealing.statement import PAYLOAD_TYPE
from hauberk.sealing.strict_json import base64_text, record, unbase64

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_OLDER = "application/vnd.dev.sigstore.bundle+json;version=0."


class _Raw(msgspec.Struct, frozen=True):
    rawBytes: str


class _Chain(msgspec.Struct, frozen=True):
    certificates: tuple[_Raw, ...] = ()


class _PublicKey(msgspec.Struct, frozen=True):
    hint: str | None = None


class _LogId(msgspec.Struct, frozen=True):
    keyId: str


class _KindVersion(msgspec.Struct, frozen=True):
    kind: str
    version: str


class _Promise(msgspec.Struct, frozen=True):
    signedEntryTimestamp: str


class _Checkpoint(msgspec.Struct, frozen=True):
    envelope: str


class _Proof(msgspec.Struct, frozen=True):
    logIndex: str
    rootHash: str
    treeSize: str
    hashes: tuple[str, ...] = ()
    checkpoint: _Checkpoint | None = None


class LogEntry(msgspec.Struct, frozen=True):
    """An entry of a transparency log, as the bundle carries it: integers as text, bytes as base64."""

    logIndex: str
    logId: _LogId
    kindVersion: _KindVersion
    canonicalizedBody: str
    integratedTime: str | None = None
    inclusionPromise: _Promise | None = None
    inclusionProof: _Proof | None = None


class _Material(msgspec.Struct, frozen=True):
    certificate: _Raw | None = None
    x509CertificateChain: _Chain | None = None
    publicKey: _PublicKey | None = None
    tlogEntries: tuple[LogEntry, ...] | None = None
    timestampVerificationData: dict[str, object] | None = None


class _Signature(msgspec.Struct, frozen=True):
    sig: str
    keyid: str | None = None


class _Envelope(msgspec.Struct, frozen=True):
    payload: str
    payloadType: str
    signatures: tuple[_Signature, ...] = ()


class _Bundle(msgspec.Struct, frozen=True):
    mediaType: str
    verificationMaterial: _Material
    dsseEnvelope: _Envelope | None = None


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """A signed statement. signature: None where nobody signed. hint: names a key in hexadecimal, or is empty.

    chain: certificates in DER, the signer's first. entries: of transparency logs. timestamped: whether it carries
    RFC 3161 timestamps, which are not read here.
    """

    payload: bytes
    signature: bytes | None
    hint: str = ""
    chain: tuple[bytes, ...] = ()
    entries: tuple[LogEntry, ...] = ()
    timestamped: bool = False


def encode(bundle: Bundle) -> bytes:
    """Write a bundle as model-signing reads it."""
    material: dict[str, object] = {"tlogEntries": []}
    if bundle.chain:
        rows = [{"rawBytes": base64_text(certificate)} for certificate in bundle.chain]
        material = {"x509CertificateChain": {"certificates": rows}, **material}
    elif bundle.hint:
        material = {"publicKey": {"hint": bundle.hint}, **material}
    signatures = [] if bundle.signature is None else [{"sig": base64_text(bundle.signature), "keyid": ""}]
    envelope = {"payload": base64_text(bundle.payload), "payloadType": PAYLOAD_TYPE, "signatures": signatures}
    whole = {"mediaType": MEDIA_TYPE, "verificationMaterial": material, "dsseEnvelope": envelope}
    return json.dumps(whole, separators=(",", ":")).encode() + b"\n"


def decode(data: bytes) -> Bundle:
    """Read a bundle; raises Malformed. Nothing in it is believed yet."""
    found = record(data, _Bundle)
    if found.mediaType != MEDIA_TYPE and not found.mediaType.startswith(_OLDER):
        raise Malformed(f"it is not a Sigstore bundle but {shown(found.mediaType, 80)!r}")
    envelope = found.dsseEnvelope
    if envelope is None:
        raise Malformed("it holds no DSSE envelope: it signs one file's digest, not a manifest")
    if envelope.payloadType != PAYLOAD_TYPE:
        raise Malformed(f"its payload is {shown(envelope.payloadType, 80)!r}, not an in-toto statement")
    if len(envelope.signatures) > 1:
        raise Malformed("it has more than one signature; each signer writes a bundle of its own")
    material = found.verificationMaterial
    chain = material.x509CertificateChain.certificates if material.x509CertificateChain else ()
    leaf = (material.certificate,) if material.certificate else ()
    timestamps = material.timestampVerificationData
    return Bundle(
        payload=unbase64(envelope.payload),
        signature=unbase64(envelope.signatures[0].sig) if envelope.signatures else None,
        hint=(material.publicKey.hint or "") if material.publicKey else "",
        chain=tuple(unbase64(row.rawBytes) for row in (*leaf, *chain)),
        entries=material.tlogEntries or (),
        timestamped=bool(timestamps and timestamps.get("rfc3161Timestamps")),
    )
