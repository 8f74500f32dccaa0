"""Keccak-256 as Ethereum uses it: FIPS 202's permutation with the padding of before the standard."""

from __future__ import annotations

_ROUNDS, _RATE, _MASK = 24, 136, (1 << 64) - 1


def keccak_256(message: bytes) -> bytes:
    """Digest a short message."""
    padded = bytearray(message + b"\x01" + bytes(-(len(message) + 1) % _RATE))
    padded[-1] |= 0x80
    lanes = [[0] * 5 for _ in range(5)]
    for start in range(0, len(padded), _RATE):
        for place in range(_RATE // 8):
            word = int.from_bytes(padded[start + 8 * place : start + 8 * place + 8], "little")
            lanes[place % 5][place // 5] ^= word
        lanes = _permuted(lanes)
    return b"".join(lanes[place % 5][place // 5].to_bytes(8, "little") for place in range(4))


def _permuted(a: list[list[int]]) -> list[list[int]]:
    """Keccak-f[1600]: θ, ρ and π, χ, ι (FIPS 202 §3.2)."""
    register = 1
    for _ in range(_ROUNDS):
        c = [a[x][0] ^ a[x][1] ^ a[x][2] ^ a[x][3] ^ a[x][4] for x in range(5)]
        d = [c[(x + 4) % 5] ^ _turned(c[(x + 1) % 5], 1) for x in range(5)]
        a = [[a[x][y] ^ d[x] for y in range(5)] for x in range(5)]
        x, y, current = 1, 0, a[1][0]
        for step in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            current, a[x][y] = a[x][y], _turned(current, (step + 1) * (step + 2) // 2)
        for row in range(5):
            b = [a[column][row] for column in range(5)]
            for column in range(5):
                a[column][row] = b[column] ^ ((~b[(column + 1) % 5]) & b[(column + 2) % 5])
        for bit in range(7):
            register = (register << 1 ^ (register >> 7) * 0x71) % 256
            if register & 2:
                a[0][0] ^= 1 << ((1 << bit) - 1)
    return a


def _turned(word: int, count: int) -> int:
    count %= 64
    return (word << count | word >> (64 - count)) & _MASK
