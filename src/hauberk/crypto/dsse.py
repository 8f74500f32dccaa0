"""DSSE (Dead Simple Signing Envelope) v1: what exactly is signed."""

from __future__ import annotations


def pae(payload_type: str, payload: bytes) -> bytes:
    """Encode type and payload unambiguously before signing (DSSE protocol, "PAE")."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
