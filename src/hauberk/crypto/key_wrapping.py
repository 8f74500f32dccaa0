"""Lock a file's key with another key: of a file, of the environment, or of a passphrase (Argon2id)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hauberk.core.errors import UsageError
from hauberk.crypto.keys import read_small
from hauberk.crypto.sealed_layout import KEY_BYTES, Fixed, Wrap

_HEAD = "hauberk-secret-1"
NONCE_BYTES = 12
PASSES, LANES, MEMORY = 3, 4, 64 << 10
"""Argon2id's second recommended option (RFC 9106 §4): three passes, four lanes, 64 MiB."""
MOST_PASSES, MOST_LANES, MOST_MEMORY = 16, 16, 2 << 20
"""A header that asks for more is refused before anything is computed: it would be a way to fill memory."""


class KeySource(Protocol):
    """Something that can lock and unlock a file's key."""

    def wrap(self, key: bytes, fixed: Fixed) -> Wrap:
        """Lock the key of the file that `fixed` names."""
        ...

    def unwrap(self, wrap: Wrap, fixed: Fixed) -> bytes | None:
        """Unlock it; None where this is not its lock."""
        ...


class SecretKey:
    """32 random bytes, kept in a file or the environment. kind: "file" or "environment"."""

    def __init__(self, secret: bytes, kind: str) -> None:
        self._secret, self._kind = secret, kind
        self.id = hmac.digest(secret, b"hauberk key id", hashlib.sha256).hex()[:16]

    @classmethod
    def of_file(cls, path: Path) -> SecretKey:
        """Read a key file; raises UsageError."""
        return cls(_secret(read_small(path, "the key file"), str(path)), "file")

    @classmethod
    def of_environment(cls, name: str) -> SecretKey:
        """Read a key from an environment variable; raises UsageError."""
        if not os.environ.get(name):
            raise UsageError(f"the environment variable {name} is not set", fix="set it to the text of a key file")
        return cls(_secret(os.environ[name].encode(), f"${name}"), "environment")

    def derived(self, use: str) -> bytes:
        """Derive a key for another use: 32 bytes from which this one cannot be told."""
        return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=f"hauberk key: {use}".encode()).derive(self._secret)

    def wrap(self, key: bytes, fixed: Fixed) -> Wrap:
        """Lock a file's key."""
        nonce = os.urandom(NONCE_BYTES)
        return Wrap(self._kind, self.id, nonce, AESGCM(self._lock(fixed)).encrypt(nonce, key, fixed.digest))

    def unwrap(self, wrap: Wrap, fixed: Fixed) -> bytes | None:
        """Unlock it; None where another key locked it. A key is the same in a file and in the environment."""
        if wrap.kind not in ("file", "environment") or wrap.id != self.id:
            return None
        return opened(self._lock(fixed), wrap, fixed)

    def _lock(self, fixed: Fixed) -> bytes:
        kdf = HKDF(hashes.SHA256(), KEY_BYTES, salt=fixed.digest, info=b"hauberk sealed file: wrap")
        return kdf.derive(self._secret)


class Passphrase:
    """Words a person knows, made slow to guess by Argon2id (RFC 9106)."""

    def __init__(self, words: str, *, memory: int = MEMORY, passes: int = PASSES, lanes: int = LANES) -> None:
        if not words:
            raise UsageError("the passphrase is empty", fix="set HAUBERK_PASSPHRASE, or type it")
        self._words = words
        self._memory, self._passes, self._lanes = memory, passes, lanes

    def wrap(self, key: bytes, fixed: Fixed) -> Wrap:
        """Lock a file's key; the salt is drawn for each file."""
        nonce, salt = os.urandom(NONCE_BYTES), os.urandom(16)
        lock = self._lock(salt, self._memory, self._passes, self._lanes)
        data = AESGCM(lock).encrypt(nonce, key, fixed.digest)
        return Wrap("passphrase", "", nonce, data, salt, self._memory, self._passes, self._lanes)

    def unwrap(self, wrap: Wrap, fixed: Fixed) -> bytes | None:
        """Unlock it; None where the words are others, or the header asks for more work than is sensible."""
        sensible = 1 <= wrap.passes <= MOST_PASSES and 1 <= wrap.lanes <= MOST_LANES
        sensible &= 8 * wrap.lanes <= wrap.memory <= MOST_MEMORY and len(wrap.salt) == 16
        if wrap.kind != "passphrase" or not sensible:
            return None
        return opened(self._lock(wrap.salt, wrap.memory, wrap.passes, wrap.lanes), wrap, fixed)

    def _lock(self, salt: bytes, memory: int, passes: int, lanes: int) -> bytes:
        kdf = Argon2id(salt=salt, length=KEY_BYTES, iterations=passes, lanes=lanes, memory_cost=memory)
        return kdf.derive(self._words.encode())


def opened(lock: bytes, wrap: Wrap, fixed: Fixed) -> bytes | None:
    """Decrypt a wrapped key; None where the lock is another one's."""
    try:
        key = AESGCM(lock).decrypt(wrap.nonce, wrap.data, fixed.digest)
    except (InvalidTag, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None


def new_secret() -> bytes:
    """Draw a key and write it as a key file's text."""
    return f"{_HEAD} {base64.b64encode(os.urandom(KEY_BYTES)).decode()}\n".encode()


def _secret(text: bytes, where: str) -> bytes:
    """Read a key file's text; raises UsageError."""
    head, _, body = text.decode("ascii", "replace").strip().rpartition(" ")
    try:
        secret = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if head not in ("", _HEAD) or len(secret) != KEY_BYTES:
        raise UsageError("is not a key file", where=where, fix="make one with `hauberk seal --new-secret FILE`")
    return secret
