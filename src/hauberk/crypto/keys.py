"""Signing keys of files: Ed25519 and ECDSA, read from PEM, named by the SHA-256 of their public half."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Literal, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hauberk.core.errors import UsageError

Kind: TypeAlias = Literal["ed25519", "p256", "p384"]
PublicKey: TypeAlias = Ed25519PublicKey | ec.EllipticCurvePublicKey
PrivateKey: TypeAlias = Ed25519PrivateKey | ec.EllipticCurvePrivateKey

KEY_BYTES = 64 << 10
"""No key or certificate file is larger."""

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
"""The hash that goes with a curve, as Sigstore's key details pair them."""

_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


class Verifier:
    """The public half of a key.

    id: "sha256:" and the digest of its SubjectPublicKeyInfo in DER. hint: the digest of the PEM text in hexadecimal, by
    which model-signing names it in a bundle.
    """

    def __init__(self, public: PublicKey) -> None:
        self.public = public
        der = public.public_bytes(serialization.Encoding.DER, _SPKI)
        self.id = f"sha256:{hashlib.sha256(der).hexdigest()}"
        self.hint = hashlib.sha256(self.pem()).hexdigest()

    @property
    def algorithm(self) -> str:
        """Name the kind of key."""
        if isinstance(self.public, Ed25519PublicKey):
            return "Ed25519"
        return f"ECDSA {self.public.curve.name}"

    def pem(self) -> bytes:
        """Write the key as SubjectPublicKeyInfo PEM."""
        return self.public.public_bytes(serialization.Encoding.PEM, _SPKI)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Say whether the signature of the message is this key's."""
        try:
            if isinstance(self.public, Ed25519PublicKey):
                self.public.verify(signature, message)
            else:
                self.public.verify(signature, message, ec.ECDSA(_HASHES[self.public.curve.name]))
        except InvalidSignature:
            return False
        return True


class Signer:
    """A whole key."""

    def __init__(self, private: PrivateKey) -> None:
        self._private = private
        self.public = Verifier(private.public_key())

    def sign(self, message: bytes) -> bytes:
        """Sign a message."""
        if isinstance(self._private, Ed25519PrivateKey):
            return self._private.sign(message)
        return self._private.sign(message, ec.ECDSA(_HASHES[self._private.curve.name]))

    def pem(self, passphrase: bytes = b"") -> bytes:
        """Write the key as PKCS #8 PEM, encrypted where there is a passphrase."""
        lock: serialization.KeySerializationEncryption = (
            serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        )
        return self._private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


def new(kind: Kind = "ed25519") -> Signer:
    """Make a new key from the system's randomness."""
    if kind == "ed25519":
        return Signer(Ed25519PrivateKey.generate())
    return Signer(ec.generate_private_key(ec.SECP256R1() if kind == "p256" else ec.SECP384R1()))


def public_path(private: Path) -> Path:
    """Name the file of the public half beside a private key's."""
    return private.with_name(private.name + ".pub")


def is_locked(pem: bytes) -> bool:
    """Tell whether a private key's PEM text asks for a passphrase."""
    return b"BEGIN ENCRYPTED PRIVATE KEY" in pem or b"Proc-Type: 4,ENCRYPTED" in pem


def read_private(path: Path, passphrase: bytes = b"") -> Signer:
    """Read a private key; raises UsageError that says what is wrong with it."""
    pem = read_small(path, "the private key")
    if is_locked(pem) and not passphrase:
        raise UsageError(
            "the private key is locked with a passphrase", where=str(path), fix="set HAUBERK_PASSPHRASE, or type it"
        )
    try:
        private = serialization.load_pem_private_key(pem, passphrase if is_locked(pem) else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        what = "the passphrase is wrong, or the key is damaged" if is_locked(pem) else "is not a private key in PEM"
        raise UsageError(what, where=str(path)) from error
    if isinstance(private, Ed25519PrivateKey):
        return Signer(private)
    if isinstance(private, ec.EllipticCurvePrivateKey):
        known_curve(private.curve.name, str(path))
        return Signer(private)
    raise _wrong_kind(type(private).__name__, str(path))


def read_public(path: Path) -> Verifier:
    """Read a public key; raises UsageError that says what is wrong with it."""
    pem = read_small(path, "the public key")
    if b"PRIVATE KEY" in pem:
        raise UsageError("is a private key", where=str(path), fix="name the public half (.pub)")
    try:
        public = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError("is not a public key in PEM", where=str(path)) from error
    return verifier(public, str(path))


def verifier(public: object, where: str) -> Verifier:
    """Wrap a public key of a kind we use; raises UsageError for any other."""
    if isinstance(public, Ed25519PublicKey):
        return Verifier(public)
    if isinstance(public, ec.EllipticCurvePublicKey):
        known_curve(public.curve.name, where)
        return Verifier(public)
    raise _wrong_kind(type(public).__name__, where)


def known_curve(name: str, where: str) -> None:
    """Refuse curves that nobody signs files with."""
    if name not in _HASHES:
        raise UsageError(f"the curve {name} is not used for signing files", where=where, fix="use P-256 or P-384")


def read_small(path: Path, what: str) -> bytes:
    """Read a small regular file whole; raises UsageError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(KEY_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{what} cannot be read: {error.strerror}", where=str(path)) from error
    if data is None or len(data) > KEY_BYTES:
        raise UsageError(f"{what} is no such file: it is longer than {KEY_BYTES} bytes", where=str(path))
    return data


def _wrong_kind(name: str, where: str) -> UsageError:
    kind = name.removesuffix("PrivateKey").removesuffix("PublicKey")
    return UsageError(f"a key of kind {kind} is not used here", where=where, fix="use Ed25519, P-256 or P-384")
