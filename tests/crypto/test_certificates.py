"""Chains of certificates: the good one, and each way in which one does not hold."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from hauberk.crypto.certificates import MAX_CHAIN, Untrusted, from_der, hold, holder

NOW = dt.datetime(2026, 11, 25, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "issuing", "deeper", "leaf", "other")}


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def made(
    name: str,
    issuer: str,
    *,
    ca: bool = True,
    signs: bool = True,
    usage: bool = True,
    code: bool = False,
    length: int | None = None,
    start: dt.datetime = NOW - DAY,
    end: dt.datetime = NOW + DAY,
    key: str = "",
    odd: bool = False,
) -> x509.Certificate:
    builder = x509.CertificateBuilder().subject_name(named(name)).issuer_name(named(issuer))
    builder = builder.public_key(KEYS[name].public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(end)
    builder = builder.add_extension(x509.BasicConstraints(ca, length), critical=True)
    if usage:
        rule = x509.KeyUsage(not ca and signs, False, False, False, False, ca and signs, ca, False, False)
        if not any((rule.digital_signature, rule.key_cert_sign, rule.crl_sign)):
            rule = x509.KeyUsage(False, True, False, False, False, False, False, False, False)
        builder = builder.add_extension(rule, critical=True)
    if code:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    if odd:
        odd_one = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"x")
        builder = builder.add_extension(odd_one, critical=True)
    return builder.sign(KEYS[key or issuer], hashes.SHA256())


ROOT = made("root", "root")
ISSUING = made("issuing", "root")
LEAF = made("leaf", "issuing", ca=False)


def test_a_good_chain_holds() -> None:
    hold(LEAF, [ISSUING], [ROOT], NOW)
    hold(made("leaf", "root", ca=False), [], [ROOT], NOW)
    hold(made("leaf", "root", ca=False, usage=False, code=True), [], [ROOT], NOW)


BAD = {
    "no issuer": (LEAF, []),
    "another's signature": (made("leaf", "issuing", ca=False, key="other"), [ISSUING]),
    "ended": (made("leaf", "issuing", ca=False, end=NOW - DAY / 2), [ISSUING]),
    "not yet": (made("leaf", "issuing", ca=False, start=NOW + DAY / 2), [ISSUING]),
    "an authority that ended": (LEAF, [made("issuing", "root", end=NOW - DAY / 2)]),
    "an authority that is none": (LEAF, [made("issuing", "root", ca=False)]),
    "an authority that may not certify": (LEAF, [made("issuing", "root", signs=False)]),
    "a leaf that may not sign": (made("leaf", "issuing", ca=False, signs=False), [ISSUING]),
    "a leaf that says nothing of use": (made("leaf", "issuing", ca=False, usage=False), [ISSUING]),
    "an extension nobody knows": (made("leaf", "issuing", ca=False, odd=True), [ISSUING]),
    "a root of the sender's own": (made("leaf", "other", ca=False), [made("other", "other")]),
    "a path too long": (
        made("leaf", "deeper", ca=False),
        [made("issuing", "root", length=0), made("deeper", "issuing")],
    ),
    "an endless chain": (LEAF, [ISSUING] * (MAX_CHAIN + 1)),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_hold(name: str) -> None:
    leaf, between = BAD[name]
    with pytest.raises(Untrusted):
        hold(leaf, between, [ROOT], NOW)


def test_a_root_signs_no_files_itself() -> None:
    with pytest.raises(Untrusted):
        hold(ROOT, [], [ROOT], NOW)


def test_no_roots_trust_nobody() -> None:
    with pytest.raises(Untrusted):
        hold(LEAF, [ISSUING], [], NOW)


def test_der_cut_anywhere_is_malformed() -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    data = LEAF.public_bytes(Encoding.DER)
    for cut in range(0, len(data), 11):
        with pytest.raises(Untrusted):
            from_der(data[:cut])
    assert holder(from_der(data)).names == ("leaf",)
