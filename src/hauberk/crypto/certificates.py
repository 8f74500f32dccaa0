"""X.509 certificates of signers: the chain to a given root, held offline at a moment, and whom they name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from hauberk.core.errors import UsageError
from hauberk.crypto.keys import Verifier, read_small, verifier

Certificate = x509.Certificate

_ISSUER = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_V2 = ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
"""Where Fulcio writes the OpenID Connect issuer: raw text, and since v2 a DER UTF8String."""

MAX_CHAIN = 16


class Untrusted(Exception):
    """A chain that does not hold; the message says why."""


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a certificate names.

    names: e-mail addresses, URIs and host names of the subject alternative name; the common name where there is none.
    issuer: of the identity (Fulcio's extension), empty in other certificates. serial: hexadecimal.
    """

    names: tuple[str, ...]
    issuer: str
    serial: str
    not_before: dt.datetime
    not_after: dt.datetime


def read_pem(path: Path) -> list[Certificate]:
    """Read certificates from a PEM file; raises UsageError."""
    data = read_small(path, "the certificate")
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise UsageError("holds no certificate in PEM", where=str(path)) from error


def from_der(data: bytes) -> Certificate:
    """Read a certificate someone sent; raises Untrusted."""
    try:
        return x509.load_der_x509_certificate(data)
    except ValueError as error:
        raise Untrusted("a certificate in the bundle is malformed") from error


def der(certificate: Certificate) -> bytes:
    """Write a certificate as DER."""
    return certificate.public_bytes(serialization.Encoding.DER)


def key_of(certificate: Certificate) -> Verifier:
    """Return the certified key; raises Untrusted where it is of a kind we do not use."""
    try:
        return verifier(certificate.public_key(), "certificate")
    except (UsageError, ValueError, UnsupportedAlgorithm) as error:
        raise Untrusted(f"the certificate's key cannot be used: {error}") from error


def holder(certificate: Certificate) -> Holder:
    """Read whom a certificate names; raises Untrusted."""
    try:
        return Holder(
            names=_names(certificate),
            issuer=_issuer(certificate),
            serial=f"{certificate.serial_number:x}",
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
        )
    except ValueError as error:
        raise Untrusted(f"the certificate is malformed: {error}") from error


def hold(leaf: Certificate, between: Sequence[Certificate], roots: Sequence[Certificate], when: dt.datetime) -> None:
    """Hold a chain to the roots at a moment; raises Untrusted with the reason.

    Checked: signatures, validity of every certificate, basicConstraints and path length, keyCertSign of each authority,
    digitalSignature or code signing of the leaf, unknown critical extensions. Not checked: revocation by CRL or OCSP
    (nothing is fetched; use a revocation list), certificate transparency.
    """
    if len(between) > MAX_CHAIN:
        raise Untrusted(f"the chain holds {len(between)} certificates")
    authority = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
    try:
        builder = PolicyBuilder().store(Store(list(roots))).time(when.replace(tzinfo=None))
        builder = builder.extension_policies(ca_policy=authority, ee_policy=ExtensionPolicy.permit_all())
        chain = builder.build_client_verifier().verify(leaf, list(between)).chain
    except VerificationError as error:
        raise Untrusted(f"the certificate does not lead to a trusted root: {_reason(error)}") from error
    except (ValueError, x509.UnsupportedGeneralNameType, UnsupportedAlgorithm) as error:
        raise Untrusted(f"the chain cannot be checked: {error}") from error
    for issuer in chain[1:]:
        if not _may(issuer, "key_cert_sign"):
            raise Untrusted("an authority in the chain may not sign certificates (keyUsage)")
    if not (_may(leaf, "digital_signature", absent=False) or _may_sign_code(leaf)):
        raise Untrusted("the certificate may not be used for signing (keyUsage, extendedKeyUsage)")


def _reason(error: VerificationError) -> str:
    """Shorten the library's words to what the reader needs."""
    text = str(error).removeprefix("validation failed: ").partition(" (encountered processing")[0]
    return text.replace("candidates exhausted: all candidates exhausted with no interior errors", "no issuer is known")


def _may(certificate: Certificate, usage: str, *, absent: bool = True) -> bool:
    """Say whether keyUsage allows something; absent: the answer where the certificate does not speak of it."""
    try:
        value = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return absent
    except ValueError:
        return False
    return bool(getattr(value, usage))


def _may_sign_code(certificate: Certificate) -> bool:
    try:
        value = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return ExtendedKeyUsageOID.CODE_SIGNING in value


def _names(certificate: Certificate) -> tuple[str, ...]:
    names: list[str] = []
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        found = None
    if found is not None:
        for kind in (x509.RFC822Name, x509.UniformResourceIdentifier, x509.DNSName):
            names += found.get_values_for_type(kind)
    if names:
        return tuple(names)
    return tuple(str(item.value) for item in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))


def _issuer(certificate: Certificate) -> str:
    """Read the identity's issuer as Fulcio writes it."""
    for oid, coded in ((_ISSUER_V2, True), (_ISSUER, False)):
        try:
            value = certificate.extensions.get_extension_for_oid(oid).value
        except x509.ExtensionNotFound:
            continue
        if isinstance(value, x509.UnrecognizedExtension):
            raw = value.value
            if coded and len(raw) >= 2 and raw[0] == 0x0C and raw[1] < 0x80 and len(raw) == raw[1] + 2:
                return raw[2:].decode("utf-8", "strict")
            if not coded:
                return raw.decode("utf-8", "strict")
    return ""
