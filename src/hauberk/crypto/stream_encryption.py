"""STREAM: authenticated encryption of a long text in segments, each bound to its place and to whether it is the last.

Hoang, Reyhanitabar, Rogaway and Vizár 2015, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance",
§7. The nonce of AES-256-GCM is seven bytes drawn for the file, the segment's number, and 1 for the last segment: what
is changed, reordered, repeated, cut off or put in from another file does not decrypt.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hauberk.crypto.sealed_layout import TAG_BYTES, Altered, Fixed, derived

MOST_SEGMENTS = 1 << 32


class Stream:
    """The segments of one file under its key. size: plain bytes of each segment but the last, which may have fewer."""

    def __init__(self, key: bytes, fixed: Fixed) -> None:
        self._cipher = AESGCM(derived(key, fixed, "segments"))
        self._prefix = fixed.prefix
        self.size = fixed.segment

    def encrypt(self, index: int, plain: memoryview | bytes, *, last: bool) -> bytes:
        """Encrypt segment `index` → the bytes and their tag."""
        return self._cipher.encrypt(self._nonce(index, last), plain, None)

    def encrypt_into(self, index: int, plain: memoryview, out: memoryview, *, last: bool) -> int:
        """Encrypt segment `index` into a buffer that is used again → how many bytes of it are filled.

        A buffer of its own for each segment costs more than the encryption; cryptography before 47 knows no other way.
        """
        filled = len(plain) + TAG_BYTES
        if hasattr(self._cipher, "encrypt_into"):
            self._cipher.encrypt_into(self._nonce(index, last), plain, None, out[:filled])
        else:
            out[:filled] = self._cipher.encrypt(self._nonce(index, last), plain, None)
        return filled

    def decrypt(self, index: int, sealed: memoryview | bytes, *, last: bool) -> bytes:
        """Decrypt segment `index`; raises Altered that says what is wrong with it."""
        if len(sealed) < TAG_BYTES:
            raise Altered(f"it ends inside segment {index}")
        try:
            return self._cipher.decrypt(self._nonce(index, last), sealed, None)
        except InvalidTag:
            pass
        try:
            self._cipher.decrypt(self._nonce(index, not last), sealed, None)
        except InvalidTag as error:
            raise Altered(f"segment {index} is not what was written") from error
        raise Altered(
            f"it goes on after its last segment, {index}" if not last else f"it was cut off after segment {index}"
        )

    def _nonce(self, index: int, last: bool) -> bytes:
        if not 0 <= index < MOST_SEGMENTS:
            raise OverflowError("a file of more segments than a nonce can count")
        return self._prefix + index.to_bytes(4, "big") + bytes([last])


def segments(sealed: int, size: int) -> int:
    """Count the segments of so many encrypted bytes."""
    return max(1, -(-sealed // (size + TAG_BYTES)))
