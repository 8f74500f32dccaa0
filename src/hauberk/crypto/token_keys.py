"""Keys that never leave a token: AES-256 behind PKCS#11, named by an RFC 7512 address."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from urllib.parse import parse_qs, unquote

from hauberk.core.errors import MeasurementError, MissingExtra, UsageError
from hauberk.crypto.key_wrapping import NONCE_BYTES
from hauberk.crypto.sealed_layout import KEY_BYTES, TAG_BYTES, Fixed, Wrap


class _Key(Protocol):
    def encrypt(self, data: bytes, **settings: object) -> bytes: ...

    def decrypt(self, data: bytes, **settings: object) -> bytes: ...


class TokenKey:
    """A secret key on a token, used in place: the file's key is encrypted by the token itself with AES-GCM.

    address: pkcs11:token=NAME;object=LABEL?module-path=FILE&pin-source=env:NAME. The PIN is read from the environment
    variable it names, or from HAUBERK_PIN. Raises UsageError, MissingExtra.
    """

    def __init__(self, address: str) -> None:
        path, _, query = address.removeprefix("pkcs11:").partition("?")
        parts = dict(part.partition("=")[::2] for part in path.split(";") if part)
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        self.token, self.label = unquote(parts.get("token", "")), unquote(parts.get("object", ""))
        self._module = asked.get("module-path", "") or os.environ.get("HAUBERK_PKCS11_MODULE", "")
        self._pin = asked.get("pin-source", "env:HAUBERK_PIN").removeprefix("env:")
        if not (self.token and self.label and self._module):
            raise UsageError(
                "the address names no token, object or module",
                where="pkcs11:",
                fix="pkcs11:token=NAME;object=LABEL?module-path=/…/libsofthsm2.so&pin-source=env:PIN",
            )

    def wrap(self, key: bytes, fixed: Fixed) -> Wrap:
        """Have the token lock a file's key."""
        nonce = os.urandom(NONCE_BYTES)
        with self._key() as (own, settings):
            data = own.encrypt(key, **settings(nonce, fixed.digest))
        return Wrap("pkcs11", "", nonce, data, token=self.token, label=self.label)

    def unwrap(self, wrap: Wrap, fixed: Fixed) -> bytes | None:
        """Have the token unlock it; None where another token's key locked it."""
        if (wrap.kind, wrap.token, wrap.label) != ("pkcs11", self.token, self.label):
            return None
        with self._key() as (own, settings):
            try:
                key = own.decrypt(wrap.data, **settings(wrap.nonce, fixed.digest))
            except Exception:  # noqa: BLE001 - each token has its own error for a tag that does not hold
                return None
        return key if len(key) == KEY_BYTES else None

    @contextmanager
    def _key(self) -> Iterator[tuple[_Key, _Settings]]:
        """Open the token and find the key; raises UsageError, MeasurementError."""
        try:
            pkcs11 = importlib.import_module("pkcs11")
        except ModuleNotFoundError as error:
            raise MissingExtra("python-pkcs11", "tokens") from error

        def settings(nonce: bytes, bound: bytes) -> dict[str, object]:
            parameters = pkcs11.GCMParams(nonce=nonce, aad=bound, tag_bits=8 * TAG_BYTES)
            return {"mechanism": pkcs11.Mechanism.AES_GCM, "mechanism_param": parameters}

        pin = os.environ.get(self._pin, "")
        if not pin:
            raise UsageError(f"the PIN is not in the environment variable {self._pin}", where=self.token)
        try:
            session = pkcs11.lib(self._module).get_token(token_label=self.token).open(user_pin=pin)
        except Exception as error:  # the library's own errors, and a module that cannot be loaded
            raise UsageError(
                f"the token cannot be opened: {type(error).__name__}", where=self.token, fix="look at module and PIN"
            ) from error
        with session:
            try:
                own = session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=self.label)
            except Exception as error:  # NoSuchKey, MultipleObjectsReturned
                raise MeasurementError(f"no single secret key {self.label}", where=self.token) from error
            yield own, settings


class _Settings(Protocol):
    def __call__(self, nonce: bytes, bound: bytes, /) -> dict[str, object]: ...
