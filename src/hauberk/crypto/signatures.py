"""Ed25519 keys: made on first use, kept in a file only their owner reads, named by a digest of the public half."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hauberk.core.errors import StoreError

PUBLIC_SUFFIX = ".pub"
_ID_DIGITS = 16
_RAW = serialization.Encoding.Raw
_PEM = serialization.Encoding.PEM


class VerifyingKey:
    """The public half of a key."""

    def __init__(self, public: Ed25519PublicKey) -> None:
        self._public = public
        raw = public.public_bytes(_RAW, serialization.PublicFormat.Raw)
        self.id = f"ed25519:{hashlib.sha256(raw).hexdigest()[:_ID_DIGITS]}"
        """Name of the key: a shortened SHA-256 of its 32 bytes. It names, it does not prove."""

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Say whether the signature (64 bytes) of the message is this key's."""
        try:
            self._public.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def pem(self) -> bytes:
        """Write the key as SubjectPublicKeyInfo PEM."""
        return self._public.public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


class SigningKey:
    """A whole key."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = VerifyingKey(private.public_key())

    def sign(self, message: bytes) -> bytes:
        """Sign a message (64 bytes)."""
        return self._private.sign(message)

    def pem(self) -> bytes:
        """Write the key as PKCS #8 PEM, not encrypted: who may read the file is what protects it."""
        return self._private.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def generate() -> SigningKey:
    """Make a new key from the system's randomness."""
    return SigningKey(Ed25519PrivateKey.generate())


def public_path(path: Path) -> Path:
    """Name the file of the public half beside a key file."""
    return path.with_suffix(PUBLIC_SUFFIX)


def load_or_create(path: Path) -> SigningKey:
    """Load the key, or make one on first use: the file gets mode 0600, its folder 0700 and a .gitignore.

    Whole or not at all, also where two processes come at once: both get the same key. Raises StoreError.
    """
    if not path.exists():
        try:
            _create(path)
        except OSError as error:
            raise StoreError(
                f"the signing key cannot be written: {error.strerror}", where=str(path), fix="make the folder writable"
            ) from error
    return load(path)


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    ignore = path.parent / ".gitignore"
    if not ignore.exists():
        ignore.write_text("# private keys\n*\n", encoding="utf-8")
    key = generate()
    partial = _beside(path)
    try:
        _write_private(partial, key.pem())
        _put(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """Name a file that no other process or thread writes to."""
    return path.with_name(f"{path.name}.{secrets.token_hex(6)}.new")


def _write_private(path: Path, content: bytes) -> None:
    """Write and sync a file that was never readable by others."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _put(source: Path, path: Path) -> None:
    """Give a file its name unless another process was first."""
    try:
        os.link(source, path)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        source.rename(path)  # a file system without hard links


def load(path: Path) -> SigningKey:
    """Load a signing key and see that the public half stands beside it.

    Raises StoreError where it is missing, open to others, malformed, or beside another key's public half.
    """
    _refuse_open_to_others(path)
    try:
        private = serialization.load_pem_private_key(_read(path, "signing key"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _malformed(path, "an unencrypted PKCS #8 PEM file") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _malformed(path, "an Ed25519 key")
    key, beside = SigningKey(private), public_path(path)
    if not beside.exists():
        _write_public(beside, key.public)
    elif load_public(beside).pem() != key.public.pem():
        raise StoreError(
            "this public key does not belong to the signing key beside it",
            where=str(beside),
            fix=f"put both back from where they were copied; {path.name} is {key.public.id}",
        )
    return key


def load_public(path: Path) -> VerifyingKey:
    """Load a public key; raises StoreError where it is missing or malformed."""
    try:
        public = serialization.load_pem_public_key(_read(path, "public key"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _malformed(path, "a PEM public key") from error
    if not isinstance(public, Ed25519PublicKey):
        raise _malformed(path, "an Ed25519 public key")
    return VerifyingKey(public)


def _write_public(path: Path, key: VerifyingKey) -> None:
    partial = _beside(path)
    try:
        partial.write_bytes(key.pem())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StoreError(
            f"the public key cannot be written: {error.strerror}", where=str(path), fix="make the folder writable"
        ) from error


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise StoreError(
            f"the {what} is missing", where=str(path), fix="copy it from the folder where the log was begun"
        ) from None
    except OSError as error:
        raise StoreError(f"the {what} cannot be read: {error.strerror}", where=str(path)) from error


def _refuse_open_to_others(path: Path) -> None:
    if os.name != "posix" or not path.exists():
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise StoreError(
            f"others can reach the signing key (mode {mode:04o})", where=str(path), fix=f"chmod 600 {path.name}"
        )


def _malformed(path: Path, expected: str) -> StoreError:
    return StoreError(f"is not {expected}", where=str(path), fix="put it back from a copy")
