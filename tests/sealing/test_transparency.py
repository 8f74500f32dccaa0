"""Sigstore bundles offline: a small instance of our own signs, and every piece of a bundle is bent once."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from hauberk.api.sealing import seal
from hauberk.api.verifying import Trust, Verified, verify
from hauberk.core.project import TrustSection
from hauberk.crypto.merkle import Tree, leaf_hash

SIGNED = dt.datetime(2026, 3, 1, 12, 0, 30, tzinfo=dt.UTC)
NOW = dt.datetime(2026, 11, 25, tzinfo=dt.UTC)
ISSUER = "https://accounts.example.org"
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Instance:
    """A certificate authority and a log, as Sigstore runs them."""

    def __init__(self) -> None:
        self.authority, self.log, self.own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        start = SIGNED - dt.timedelta(days=300)
        self.root = self._certificate("authority", self.authority, start, dt.timedelta(days=3000), ca=True)
        self.log_id = hashlib.sha256(self.log.public_key().public_bytes(DER, SPKI)).digest()

    def _certificate(
        self, name: str, key: ec.EllipticCurvePrivateKey, start: dt.datetime, length: dt.timedelta, ca: bool
    ) -> x509.Certificate:
        made = x509.CertificateBuilder().subject_name(named(name) if ca else x509.Name([]))
        made = made.issuer_name(named("authority")).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number())
        made = made.not_valid_before(start).not_valid_after(start + length)
        made = made.add_extension(x509.BasicConstraints(ca, None), critical=True)
        usage = x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)
        made = made.add_extension(usage, critical=True)
        if not ca:
            made = made.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(name)]), critical=True)
            made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            issuer = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.57264.1.1"), ISSUER.encode())
            made = made.add_extension(issuer, critical=False)
        return made.sign(self.authority, hashes.SHA256())

    def leaf(self) -> x509.Certificate:
        """Certify for ten minutes, as Fulcio does."""
        start = SIGNED - dt.timedelta(seconds=30)
        return self._certificate("me@example.org", self.own, start, dt.timedelta(minutes=10), ca=False)

    def trusted_root(self) -> dict[str, object]:
        window = {"start": "2026-01-01T00:00:00Z"}
        key = {"rawBytes": b64(self.log.public_key().public_bytes(DER, SPKI)), "validFor": window}
        chain = {"certificates": [{"rawBytes": b64(self.root.public_bytes(DER))}]}
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [{"publicKey": key, "logId": {"keyId": b64(self.log_id)}}],
            "certificateAuthorities": [{"certChain": chain, "validFor": window}],
        }

    def bundle(self, signed: dict[str, object]) -> dict[str, object]:
        """Turn a bundle signed by certificate into one that a log holds."""
        envelope = signed["dsseEnvelope"]
        certificate = signed["verificationMaterial"]["x509CertificateChain"]["certificates"][0]  # type: ignore[index]
        leaf = x509.load_der_x509_certificate(base64.b64decode(certificate["rawBytes"]))
        payload = base64.b64decode(envelope["payload"])  # type: ignore[index]
        spec = {
            "envelopeHash": {"algorithm": "sha256", "value": "0" * 64},
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
            "signatures": [{"signature": envelope["signatures"][0]["sig"], "verifier": b64(leaf.public_bytes(PEM))}],  # type: ignore[index]
        }
        body = json.dumps({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}).encode()
        tree = Tree([leaf_hash(b"before"), leaf_hash(body), leaf_hash(b"after")])
        note = f"log.example.org - 1\n3\n{b64(tree.root())}\n"
        sign = lambda data: self.log.sign(data, ec.ECDSA(hashes.SHA256()))  # noqa: E731
        time = int(SIGNED.timestamp())
        promise = {"body": b64(body), "integratedTime": time, "logID": self.log_id.hex(), "logIndex": 1001}
        entry = {
            "logIndex": "1001",
            "logId": {"keyId": b64(self.log_id)},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(time),
            "inclusionPromise": {
                "signedEntryTimestamp": b64(sign(json.dumps(promise, sort_keys=True, separators=(",", ":")).encode()))
            },
            "inclusionProof": {
                "logIndex": "1",
                "rootHash": b64(tree.root()),
                "treeSize": "3",
                "hashes": [b64(one) for one in tree.inclusion(1)],
                "checkpoint": {
                    "envelope": f"{note}\n\u2014 log.example.org {b64(self.log_id[:4] + sign(note.encode()))}\n"
                },
            },
            "canonicalizedBody": b64(body),
        }
        material = {"certificate": certificate, "tlogEntries": [entry]}
        return {"mediaType": signed["mediaType"], "verificationMaterial": material, "dsseEnvelope": envelope}


INSTANCE = Instance()


@pytest.fixture
def signed(tmp_path: Path) -> dict[str, object]:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a.txt").write_text("hi")
    private = INSTANCE.own.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "own.pem").write_bytes(private)
    (tmp_path / "leaf.pem").write_bytes(INSTANCE.leaf().public_bytes(PEM))
    (tmp_path / "root.json").write_text(json.dumps(INSTANCE.trusted_root()))
    place = seal(tmp_path / "m", key=tmp_path / "own.pem", chain=tmp_path / "leaf.pem").path
    return INSTANCE.bundle(json.loads(place.read_text()))


def held(folder: Path, bundle: dict[str, object], identity: str = "me@example.org", issuer: str = ISSUER) -> Verified:
    (folder / "m" / "model.sig").write_text(json.dumps(bundle))
    row = TrustSection(trusted_root="root.json", identity=identity, issuer=issuer)
    return verify(folder / "m", Trust(rows=(row,), folder=folder), clock=lambda: NOW)


def test_a_bundle_in_the_log_holds_long_after_its_certificate_ended(tmp_path: Path, signed: dict[str, object]) -> None:
    found = held(tmp_path, signed)
    assert found.faults == ()
    assert found.signature is not None
    assert (found.signature.signer, found.signature.when) == ("me@example.org", SIGNED.isoformat())
    assert found.signature.unchecked


def entry(bundle: dict[str, object]) -> dict[str, object]:
    return bundle["verificationMaterial"]["tlogEntries"][0]  # type: ignore[index, no-any-return]


def bent(text: str) -> str:
    data = bytearray(base64.b64decode(text))
    data[-1] ^= 1
    return b64(bytes(data))


def _other_body(bundle: dict[str, object]) -> None:
    body = json.loads(base64.b64decode(entry(bundle)["canonicalizedBody"]))  # type: ignore[arg-type]
    body["spec"]["payloadHash"]["value"] = "0" * 64
    entry(bundle)["canonicalizedBody"] = b64(json.dumps(body).encode())


def _promise(bundle: dict[str, object]) -> None:
    promise = entry(bundle)["inclusionPromise"]
    promise["signedEntryTimestamp"] = bent(promise["signedEntryTimestamp"])  # type: ignore[index, call-overload]


def _checkpoint(bundle: dict[str, object]) -> None:
    checkpoint = entry(bundle)["inclusionProof"]["checkpoint"]  # type: ignore[index, call-overload]
    checkpoint["envelope"] = checkpoint["envelope"].replace("log.example.org - 1\n", "log.example.org - 2\n")


def _no_promise(bundle: dict[str, object]) -> None:
    del entry(bundle)["inclusionPromise"]


def _certificate(bundle: dict[str, object]) -> None:
    bundle["verificationMaterial"]["certificate"] = {"rawBytes": b64(Instance().leaf().public_bytes(DER))}  # type: ignore[index]


BENT: dict[str, tuple[Callable[[dict[str, object]], object], str]] = {
    "another payload's entry": (_other_body, "another payload"),
    "another log": (lambda bundle: entry(bundle).update(logId={"keyId": b64(b"x" * 32)}), "does not name"),
    "a promise that is not the log's": (_promise, "entry timestamp"),
    "another time": (lambda bundle: entry(bundle).update(integratedTime="1"), "entry timestamp"),
    "no promise, so no time": (_no_promise, "no time of signing"),
    "no proof": (lambda bundle: entry(bundle).pop("inclusionProof"), "no inclusion proof"),
    "a proof of another place": (lambda bundle: entry(bundle)["inclusionProof"].update(logIndex="2"), "proof"),  # type: ignore[attr-defined]
    "another tree": (lambda bundle: entry(bundle)["inclusionProof"].update(treeSize="4"), "proof"),  # type: ignore[attr-defined]
    "a checkpoint nobody signed": (_checkpoint, "checkpoint is not signed"),
    "another kind": (lambda bundle: entry(bundle).update(kindVersion={"kind": "dsse", "version": "9"}), "kind"),
    "no entry": (lambda bundle: bundle["verificationMaterial"].update(tlogEntries=[]), "no entry"),  # type: ignore[attr-defined]
    "no number": (lambda bundle: entry(bundle).update(logIndex="-1"), "out of range"),
    "a huge number": (lambda bundle: entry(bundle).update(integratedTime="9" * 400), "out of range"),
    "another certificate": (_certificate, "certified key"),
}


@pytest.mark.parametrize("name", BENT)
def test_every_bent_bundle_is_refused_with_its_reason(tmp_path: Path, signed: dict[str, object], name: str) -> None:
    change, reason = BENT[name]
    change(signed)
    found = held(tmp_path, signed)
    assert found.exit_status == 1
    assert reason in "; ".join(fault.message for fault in found.faults)


@pytest.mark.parametrize(("identity", "issuer"), [("you@example.org", ISSUER), ("me@example.org", "https://other")])
def test_another_identity_or_issuer(tmp_path: Path, signed: dict[str, object], identity: str, issuer: str) -> None:
    assert {fault.kind for fault in held(tmp_path, signed, identity, issuer).faults} == {"untrusted"}


def test_another_instances_authority(tmp_path: Path, signed: dict[str, object]) -> None:
    root = INSTANCE.trusted_root()
    root["certificateAuthorities"] = Instance().trusted_root()["certificateAuthorities"]
    (tmp_path / "root.json").write_text(json.dumps(root))
    assert {fault.kind for fault in held(tmp_path, signed).faults} == {"untrusted"}


def test_an_authority_that_stood_at_another_time(tmp_path: Path, signed: dict[str, object]) -> None:
    root = INSTANCE.trusted_root()
    root["certificateAuthorities"][0]["validFor"] = {"start": "2026-04-01T00:00:00Z"}  # type: ignore[index]
    (tmp_path / "root.json").write_text(json.dumps(root))
    assert {fault.kind for fault in held(tmp_path, signed).faults} == {"untrusted"}


def test_everyone_with_an_account_is_no_policy() -> None:
    from hauberk.core.errors import ProjectError
    from hauberk.core.project import parse

    with pytest.raises(ProjectError, match="anyone with an account"):
        parse('[[seal.trust]]\ntrusted_root = "root.json"\nidentity = "*"\nissuer = "x"\n')
