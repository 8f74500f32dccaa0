"""Verify a proof from a hauberk evidence log offline, with nothing but Python and `cryptography`.

    python verify_evidence.py PROOF.json --key evidence.pub [--head EARLIER.head]

PROOF.json is what `hauberk evidence prove` wrote: that one entry is in the log (inclusion), or that the log of an
earlier day is a prefix of today's (consistency). evidence.pub is the log's public key: get it from whom you trust, not
from where the proof came. --head is a checkpoint you kept yourself: the proof must be of exactly that log, or go on
from it. Exit status: 0 proved, 1 not proved.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

CONTEXT = b"hauberk.checkpoint.v1\n"
FIELDS = {"origin": str, "size": int, "root": str, "time": str, "key": str, "previous": str, "signature": str}


class NotProved(Exception):
    """Why a proof proves nothing."""


def node(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees (RFC 6962 §2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def inclusion_root(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Compute the root that a path leads to (RFC 9162 §2.1.3.2)."""
    fn, sn, r = index, size - 1, leaf
    for p in path:
        if sn == 0:
            raise NotProved("the path is too long")
        if fn & 1 or fn == sn:
            r = node(p, r)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node(r, p)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise NotProved("the path is too short")
    return r


def consistency_roots(first: int, second: int, first_root: bytes, path: list[bytes]) -> tuple[bytes, bytes]:
    """Compute the two roots that a path leads to (RFC 9162 §2.1.4.2), for 0 < first < second."""
    if not path:
        raise NotProved("the path is too short")
    steps = [first_root, *path] if first & (first - 1) == 0 else path
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = steps[0]
    for c in steps[1:]:
        if sn == 0:
            raise NotProved("the path is too long")
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise NotProved("the path is too short")
    return fr, sr


def unhex(text: str) -> bytes:
    """Read lower-case hexadecimal: one value, one spelling."""
    value = bytes.fromhex(text)
    if value.hex() != text:
        raise NotProved("a hexadecimal value is not spelled as it was written")
    return value


def signed(checkpoint: dict, key: Ed25519PublicKey) -> dict:
    """Return a checkpoint that has the right fields and the key's signature."""
    if not isinstance(checkpoint, dict) or {name: type(value) for name, value in checkpoint.items()} != FIELDS:
        raise NotProved("a checkpoint has other fields than it should")
    unsigned = json.dumps({**checkpoint, "signature": ""}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        key.verify(unhex(checkpoint["signature"]), CONTEXT + unsigned.encode())
    except (InvalidSignature, ValueError):
        raise NotProved(f"the checkpoint at {checkpoint['size']} entries is not signed by this key") from None
    return checkpoint


def hashes(texts: list[str]) -> list[bytes]:
    """Read hexadecimal SHA-256 values."""
    values = [unhex(text) for text in texts]
    if any(len(value) != 32 for value in values):
        raise NotProved("a hash of the path is not 32 bytes long")
    return values


def included(proof: dict, key: Ed25519PublicKey, kept: dict | None) -> str:
    """Verify an inclusion proof; says in a sentence what it proves."""
    head, index = signed(proof["checkpoint"], key), proof["index"]
    if kept is not None and kept != head:
        raise NotProved("the proof is of another log than the checkpoint you kept")
    if type(index) is not int or not 0 <= index < head["size"]:
        raise NotProved(f"there is no entry {index} in a log of {head['size']}")
    data = proof["data"].encode()
    leaf = hashlib.sha256(b"\x00" + data).digest()
    if inclusion_root(leaf, index, head["size"], hashes(proof["path"])).hex() != head["root"]:
        raise NotProved("the entry and its path do not give the root that was signed")
    entry = json.loads(data)
    return (
        f"entry {index} ({entry['entry']['type']} of run {entry['run']}) is in the log {head['origin']} "
        f"of {head['size']} entries, signed {head['time']} by {head['key']}"
    )


def consistent(proof: dict, key: Ed25519PublicKey, kept: dict | None) -> str:
    """Verify a consistency proof; says in a sentence what it proves."""
    old, head = signed(proof["old"], key), signed(proof["checkpoint"], key)
    path = hashes(proof["path"])
    if kept is not None and kept != old:
        raise NotProved("the proof does not go on from the checkpoint you kept")
    if old["origin"] != head["origin"]:
        raise NotProved("the two checkpoints are of two logs")
    if not 0 < old["size"] <= head["size"]:
        raise NotProved(f"a log of {old['size']} entries cannot come before one of {head['size']}")
    roots = unhex(old["root"]), unhex(head["root"])
    if old["size"] == head["size"]:
        found = (roots[0], roots[0]) if not path else None
    else:
        found = consistency_roots(old["size"], head["size"], roots[0], path)
    if found != roots:
        raise NotProved("the path does not lead from the old root to the new one: history was rewritten")
    return (
        f"the log {head['origin']} of {head['size']} entries, signed {head['time']} by {head['key']}, "
        f"still holds all {old['size']} entries signed {old['time']}, unchanged"
    )


def main(arguments: list[str] | None = None) -> int:
    """Verify one proof and say so in a sentence."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("proof", type=Path)
    parser.add_argument("--key", type=Path, required=True, help="the log's public key, PEM")
    parser.add_argument("--head", type=Path, help="a checkpoint you kept earlier")
    given = parser.parse_args(arguments)
    try:
        key = load_pem_public_key(given.key.read_bytes())
        if not isinstance(key, Ed25519PublicKey):
            raise NotProved("the public key is not an Ed25519 key")
        proof = json.loads(given.proof.read_bytes())
        kept = signed(json.loads(given.head.read_bytes()), key) if given.head else None
        sentence = {"inclusion": included, "consistency": consistent}[proof["type"]](proof, key, kept)
    except (NotProved, OSError) as fault:
        print(f"NOT PROVED: {fault}", file=sys.stderr)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UnsupportedAlgorithm) as fault:
        print(f"NOT PROVED: the proof or the key is malformed ({type(fault).__name__}: {fault})", file=sys.stderr)
    else:
        print(f"PROVED: {sentence}")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
