"""Wallets: Bitcoin addresses by Base58Check and Bech32, Ethereum addresses by their mixed case (EIP-55)."""

from __future__ import annotations

import hashlib

import numpy as np

from hauberk.scanning.pii.groups import OTHER, Text
from hauberk.scanning.pii.keccak import keccak_256
from hauberk.scanning.pii.kinds import Kind
from hauberk.scanning.pii.spans import Spans

BITCOIN = Kind("bitcoin", "Bitcoin address", "wallet", chance=0.0, words="bitcoin|btc|wallet")
ETHEREUM = Kind("ethereum", "Ethereum address", "wallet", chance=0.0, words="ethereum|\\beth|wallet")
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def find(text: Text) -> tuple[Spans, Spans]:
    """Find addresses among long runs of letters and digits → Bitcoin's, Ethereum's."""
    word = text.classes != OTHER
    edges = np.flatnonzero(word[1:] != word[:-1]) + 1
    starts, ends = edges[::2], edges[1::2]
    long = (ends - starts >= 26) & (ends - starts <= 62)
    bitcoin, ethereum = [], []
    for start, end in zip(starts[long].tolist(), ends[long].tolist(), strict=True):
        head = int(text.data[start])
        if head in b"13b0B":
            token = text.data[start:end].tobytes().decode("latin-1")
            if head in b"0" and is_ethereum(token):
                ethereum.append((start, end))
            elif head in b"13bB" and is_bitcoin(token):
                bitcoin.append((start, end))
    return _spans(BITCOIN.name, bitcoin), _spans(ETHEREUM.name, ethereum)


def _spans(kind: str, places: list[tuple[int, int]]) -> Spans:
    pairs = np.array(places, np.int64).reshape(-1, 2)
    return Spans(kind, pairs[:, 0], pairs[:, 1], np.ones(len(pairs), np.bool_))


def is_bitcoin(token: str) -> bool:
    """Say whether a token is an address of Bitcoin's main network."""
    if token[0] in "13":
        return 26 <= len(token) <= 35 and _base58_holds(token)
    return token[:3].lower() == "bc1" and (token.islower() or token.isupper()) and _bech32_holds(token.lower())


def _base58_holds(token: str) -> bool:
    """Base58Check: four bytes of a double SHA-256."""
    value = 0
    for mark in token:
        place = _BASE58.find(mark)
        if place < 0:
            return False
        value = value * 58 + place
    if value >= 1 << 200:
        return False
    raw = value.to_bytes(25, "big")
    return raw[0] in (0, 5) and hashlib.sha256(hashlib.sha256(raw[:21]).digest()).digest()[:4] == raw[21:]


def _bech32_holds(token: str) -> bool:
    """BIP 173 and BIP 350: the polynomial over the human part "bc" leaves 1, or 0x2bc830a3 from version 1 on."""
    values = [_BECH32.find(mark) for mark in token[3:]]
    if len(values) < 8 or min(values) < 0:
        return False
    check = 1
    for value in (3, 3, 0, 2, 3, *values):
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            check ^= generator if top >> bit & 1 else 0
    return check == (1 if values[0] == 0 else 0x2BC830A3)


def is_ethereum(token: str) -> bool:
    """Say whether a token is 0x and forty hexadecimal digits, whose case, where it is mixed, is its checksum."""
    body = token[2:]
    if len(token) != 42 or token[:2] != "0x" or any(mark not in "0123456789abcdefABCDEF" for mark in body):
        return False
    if len(set(body.lower())) < 4:
        return False
    if body in (body.lower(), body.upper()):
        return True
    digest = keccak_256(body.lower().encode()).hex()
    return all(not mark.isalpha() or mark.isupper() == (digest[i] >= "8") for i, mark in enumerate(body))
