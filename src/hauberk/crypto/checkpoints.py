"""Signed checkpoints: a log's size and root at one moment, chained to the one before, signed with Ed25519."""

from __future__ import annotations

import hashlib

import msgspec

from hauberk.core.encoding import canonical
from hauberk.crypto.signatures import SigningKey, VerifyingKey

CONTEXT = b"hauberk.checkpoint.v1\n"
"""Stands before what is signed, so that a signature means nothing anywhere else."""


class SignedCheckpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a log was at one moment.

    origin: the log's own name, drawn at its birth. root: of the RFC 6962 tree over its first `size` leaves, 64 hex
    digits. time: RFC 3339, UTC. key: the signing key's id. previous: SHA-256 of the canonical JSON of the checkpoint
    before, 64 hex digits; empty in the first one. signature: 128 hex digits, of CONTEXT and the canonical JSON of this
    record with an empty signature.
    """

    origin: str
    size: int
    root: str
    time: str
    key: str
    previous: str
    signature: str = ""


def sign(checkpoint: SignedCheckpoint, key: SigningKey) -> SignedCheckpoint:
    """Sign a checkpoint that names the key."""
    return msgspec.structs.replace(checkpoint, signature=key.sign(_message(checkpoint)).hex())


def is_signed_by(checkpoint: SignedCheckpoint, key: VerifyingKey) -> bool:
    """Say whether the signature is this key's, over exactly this record."""
    try:
        signature = bytes.fromhex(checkpoint.signature)
    except ValueError:
        return False
    return signature.hex() == checkpoint.signature and key.verify(_message(checkpoint), signature)


def digest(checkpoint: SignedCheckpoint) -> str:
    """Digest a signed checkpoint for the next one's `previous`."""
    return hashlib.sha256(canonical(checkpoint)).hexdigest()


_DECODER = msgspec.json.Decoder(SignedCheckpoint, strict=True)


def read(data: bytes) -> SignedCheckpoint:
    """Read a checkpoint from JSON, whoever wrote it; raises msgspec.DecodeError and nothing else."""
    try:
        return _DECODER.decode(data)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error


def _message(checkpoint: SignedCheckpoint) -> bytes:
    return CONTEXT + canonical(msgspec.structs.replace(checkpoint, signature=""))
