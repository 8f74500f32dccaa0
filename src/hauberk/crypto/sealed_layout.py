"""The header of an encrypted file: what never changes, and two slots of wrapped keys that can be written anew.

bytes 0-8 the magic; to 256 the fixed part; then two slots of 3,968 bytes; from byte 8,192 on the segments. A rotation
writes the slot that is not in force, syncs, and only then clears the other: power may fail at any moment.
"""

from __future__ import annotations

import hmac
import os
import struct
from hashlib import sha256
from typing import BinaryIO, NamedTuple

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hauberk.core.errors import MeasurementError, UsageError

MAGIC = b"HBKSEAL1"
SUFFIX = ".sealed"
FIXED_BYTES, SLOT_BYTES = 256, 3968
HEADER_BYTES = FIXED_BYTES + 2 * SLOT_BYTES
KEY_BYTES, TAG_BYTES, PREFIX_BYTES = 32, 16, 7
SEGMENT = 1 << 20
LEAST_SEGMENT, MOST_SEGMENT = 1 << 10, 16 << 20
_FIXED = struct.Struct(">8sBBxxI16s7s")
_SLOT = struct.Struct(">IH")
_MAC_BYTES = 32
AES_256_GCM_STREAM = 1
"""The algorithm's number: AES-256-GCM in the STREAM construction."""


class Altered(MeasurementError):
    """An encrypted file is not what was written: changed, cut short, reordered, or put together of several."""


class Wrap(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The file's key, locked with one key. kind: of its source. id: which key, never the key.

    salt, memory, passes, lanes: of Argon2id; memory in KiB. token, label: of a PKCS#11 key.
    """

    kind: str
    id: str
    nonce: bytes
    data: bytes
    salt: bytes = b""
    memory: int = 0
    passes: int = 0
    lanes: int = 0
    token: str = ""
    label: str = ""


class Fixed(NamedTuple):
    """What every segment is bound to. raw: its bytes. segment: plain bytes of each but the last. prefix: of nonces."""

    raw: bytes
    segment: int
    prefix: bytes

    @classmethod
    def new(cls, segment: int) -> Fixed:
        """Draw an identity and a nonce prefix; raises UsageError for a size out of range."""
        if not LEAST_SEGMENT <= segment <= MOST_SEGMENT:
            raise UsageError(f"segments of {segment} bytes", fix=f"take {LEAST_SEGMENT} to {MOST_SEGMENT}")
        prefix = os.urandom(PREFIX_BYTES)
        raw = _FIXED.pack(MAGIC, 1, AES_256_GCM_STREAM, segment, os.urandom(16), prefix)
        return cls(raw.ljust(FIXED_BYTES, b"\0"), segment, prefix)

    @property
    def digest(self) -> bytes:
        """Name the file: what its keys are derived with."""
        return sha256(self.raw).digest()


class Slot(NamedTuple):
    """Wrapped keys in force. place: 0 or 1. number: grows with each rotation."""

    place: int
    number: int
    body: bytes
    mac: bytes

    def wraps(self) -> tuple[Wrap, ...]:
        """Read the wrapped keys; raises Altered."""
        try:
            return msgspec.json.decode(self.body, type=tuple[Wrap, ...])
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise Altered("its list of keys cannot be read") from error


def derived(key: bytes, fixed: Fixed, use: str) -> bytes:
    """Derive a key for one use in one file: HKDF-SHA256 (RFC 5869)."""
    kdf = HKDF(hashes.SHA256(), KEY_BYTES, salt=fixed.digest, info=f"hauberk sealed file: {use}".encode())
    return kdf.derive(key)


def slot_bytes(key: bytes, fixed: Fixed, number: int, wraps: tuple[Wrap, ...]) -> bytes:
    """Write a slot; raises UsageError where so many keys have no room."""
    body = msgspec.json.encode(wraps)
    if len(body) + _SLOT.size + _MAC_BYTES > SLOT_BYTES:
        raise UsageError(f"{len(wraps)} keys have no room in a header", fix="take fewer keys")
    head = _SLOT.pack(number, len(body))
    return (head + body + _mac(key, fixed, head + body)).ljust(SLOT_BYTES, b"\0")


def holds(key: bytes, fixed: Fixed, slot: Slot) -> bool:
    """Say whether fixed part and slot are what the holder of the file's key wrote: also commits to that one key."""
    said = _SLOT.pack(slot.number, len(slot.body)) + slot.body
    return hmac.compare_digest(_mac(key, fixed, said), slot.mac)


def read_header(file: BinaryIO) -> tuple[Fixed, list[Slot]]:
    """Read fixed part and slots, the newest first; raises UsageError for another kind of file, and Altered."""
    raw = file.read(HEADER_BYTES)
    if not raw.startswith(MAGIC):
        raise UsageError("is not an encrypted file of hauberk")
    if len(raw) < HEADER_BYTES:
        raise Altered("it ends inside its header")
    _, version, algorithm, segment, _, prefix = _FIXED.unpack_from(raw)
    if version != 1 or algorithm != AES_256_GCM_STREAM:
        raise UsageError(f"is of version {version} with algorithm {algorithm}", fix="a newer hauberk may read it")
    if not LEAST_SEGMENT <= segment <= MOST_SEGMENT:
        raise Altered(f"its header speaks of segments of {segment} bytes")
    slots = [slot for place in (0, 1) if (slot := _slot(raw, place)) is not None]
    if not slots:
        raise Altered("its header holds no keys")
    return Fixed(raw[:FIXED_BYTES], segment, prefix), sorted(slots, key=lambda slot: -slot.number)


def _slot(raw: bytes, place: int) -> Slot | None:
    """Read one slot; None where it is empty or was torn while it was written."""
    start = FIXED_BYTES + place * SLOT_BYTES
    number, length = _SLOT.unpack_from(raw, start)
    body_start, end = start + _SLOT.size, start + _SLOT.size + length
    if not length or length + _SLOT.size + _MAC_BYTES > SLOT_BYTES:
        return None
    return Slot(place, number, raw[body_start:end], raw[end : end + _MAC_BYTES])


def _mac(key: bytes, fixed: Fixed, said: bytes) -> bytes:
    return hmac.digest(derived(key, fixed, "header"), fixed.raw + said, "sha256")
