"""Randomness that privacy rests on: Gaussian noise and coin flips from an AES-128 counter stream.

torch's own generator is a Mersenne twister seeded with 32 bits, so that noise can be found by trying seeds; this costs
the same. Nobody who does not know the key can subtract the noise or tell which rows were sampled.
"""

from __future__ import annotations

import math
import secrets

import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

CHUNK = 131072
"""Numbers made at once: small enough for the cache, large enough that a call's own cost does not count."""
_KEY = 16


class NoiseSource:
    """A stream of random numbers; key: 16 bytes, None for one from the operating system that nobody ever sees."""

    def __init__(self, key: bytes | None = None) -> None:
        self.secret = key is None
        used = secrets.token_bytes(_KEY) if key is None else key
        if len(used) != _KEY:
            raise ValueError(f"a key has {_KEY} bytes, not {len(used)}")
        self._stream = Cipher(algorithms.AES(used), modes.CTR(bytes(16))).encryptor()
        self._zeros, self._bytes = bytes(CHUNK * 4), bytearray(CHUNK * 4 + 16)
        self._bits = torch.frombuffer(self._bytes, dtype=torch.int32)
        half = CHUNK // 2
        # Views and room made once: fresh memory for every chunk costs more than the logarithms.
        self._radius, self._angle, self._turned = (torch.empty(half) for _ in range(3))
        self._first, self._second = self._bits[:half], self._bits[half:CHUNK]

    @classmethod
    def seeded(cls, rng: torch.Generator) -> NoiseSource:
        """Make a reproducible stream: for tests, and for runs that promise nothing."""
        return cls(bytes(torch.randint(256, (_KEY,), generator=rng, dtype=torch.uint8).tolist()))

    def _words(self, n: int) -> torch.Tensor:
        """Return n random int32 (at most CHUNK), valid until the next call."""
        self._stream.update_into(self._zeros if n == CHUNK else self._zeros[: n * 4], self._bytes)
        return self._bits[:n]

    def fill_normal(self, out: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        """Overwrite a contiguous float32 tensor with N(0, scale²) and return it.

        Box & Muller 1958; the radius is drawn with 31 bits, so that tails reach 6.5 standard deviations. Values are
        floating-point numbers: what Mironov 2012 shows of their low bits is not defended against.
        """
        flat = out.view(-1)
        whole = len(flat) - len(flat) % CHUNK
        for part in torch.split(flat[:whole], CHUNK) if whole else ():
            self._words(CHUNK)
            self._transform(self._first, self._second, part, (self._radius, self._angle, self._turned), scale)
        if whole < len(flat):
            part = flat[whole:]
            half = (len(part) + 1) // 2
            words = self._words(2 * half)
            room = tuple(values[:half] for values in (self._radius, self._angle, self._turned))
            made = part if len(part) == 2 * half else torch.empty(2 * half)
            self._transform(words[:half], words[half:], made, room, scale)
            if made is not part:
                part.copy_(made[: len(part)])
        return out

    @staticmethod
    def _transform(
        first: torch.Tensor, second: torch.Tensor, out: torch.Tensor, room: tuple[torch.Tensor, ...], scale: float
    ) -> None:
        radius, angle, turned = room
        half = len(radius)
        torch.mul(first, 2.0**-31, out=radius).abs_().clamp_min_(2.0**-32).log_().mul_(-2 * scale * scale).sqrt_()
        torch.mul(second, 2.0**-31 * math.pi, out=angle)
        torch.mul(radius, torch.cos(angle, out=turned), out=out[:half])
        torch.mul(radius, angle.sin_(), out=out[half:])

    def normal(self, *shape: int, scale: float = 1.0) -> torch.Tensor:
        """Return a float32 tensor of N(0, scale²)."""
        return self.fill_normal(torch.empty(shape), scale)

    def uniform(self, n: int) -> torch.Tensor:
        """Return n numbers of [0, 1) as float64 with 32 random bits each."""
        out = torch.empty(n, dtype=torch.float64)
        for start in range(0, n, CHUNK):
            part = out[start : start + CHUNK]
            part.copy_(self._words(len(part))).mul_(2.0**-32).add_(0.5)
        return out

    def coins(self, n: int, rate: float) -> torch.Tensor:
        """Return n independent coins as bool, each true with probability `rate` (to 2^-32)."""
        return self.uniform(n) < rate

    def permutation(self, n: int) -> torch.Tensor:
        """Return a random order of 0 … n − 1."""
        keys = self.uniform(n) + self.uniform(n) * 2.0**-32  # 53 bits: ties are as good as impossible
        return keys.argsort()

    def laplace(self, n: int, scale: float = 1.0) -> torch.Tensor:
        """Return n numbers of the Laplace distribution, float64: the difference of two exponential ones."""
        one, two = ((self.uniform(n) + 2.0**-33).log_() for _ in range(2))
        return (one - two).mul_(scale)
