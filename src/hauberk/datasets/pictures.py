"""What can be said of a picture without knowing what it shows: light, sharpness, information, a perceptual hash."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from hauberk.core.protocols import Floats

SIDE = 16
"""Side of the thumbnail that stands for a large picture."""
_WHOLE = 3072
"""Values of a picture up to which it stands for itself (32×32 in colour)."""
_HASH, _DCT = 8, 32


def described(pixels: Floats) -> pl.DataFrame:
    """Describe pictures (n, c, h, w) in [0, 1] of one size, six numbers each.

    light: 99th percentile of brightness; shade: 5th; sharpness: variance of the Laplacian of the grey picture on a
    0–255 scale (Pech-Pacheco et al. 2000); information: entropy of its grey levels in bits; width and height beside
    them. hash: 64 bits of the low frequencies of a 32×32 copy against their median (perceptual hash).
    """
    n, c, h, w = pixels.shape
    grey = pixels.mean(1) if c != 3 else np.tensordot(pixels, np.array([0.299, 0.587, 0.114], dtype=np.float32), (1, 0))
    flat = np.sort(grey.reshape(n, -1), axis=1)
    last = flat.shape[1] - 1
    return pl.DataFrame(
        {
            "width": np.full(n, w, np.int32),
            "height": np.full(n, h, np.int32),
            "channels": np.full(n, c, np.int32),
            "light": flat[:, round(0.99 * last)],
            "shade": flat[:, round(0.05 * last)],
            "sharpness": _sharpness(grey),
            "information": _entropy(grey),
            "hash": _hashes(grey),
        }
    )


def vectors(pixels: Floats) -> Floats:
    """Return what pictures (n, c, h, w) look like as rows (n, d): their own values if they are few, else thumbnails."""
    n = len(pixels)
    if pixels[0].size <= _WHOLE:
        return np.ascontiguousarray(pixels.reshape(n, -1))
    return shrunk(pixels.mean(1), SIDE).reshape(n, -1)


def shrunk(grey: Floats, side: int) -> Floats:
    """Average grey pictures (n, h, w) over a grid of side × side cells; small ones are repeated."""
    _, h, w = grey.shape
    rows, columns = _cells(h, side), _cells(w, side)
    return np.asarray(np.einsum("ah,nhw,bw->nab", rows, grey, columns, optimize=True), dtype=np.float32)


@cache
def _cells(length: int, side: int) -> Floats:
    """Weights (side, length) of each cell's mean, with shares of the pixels its borders cut."""
    edges = np.linspace(0, length, side + 1)
    low, high = edges[:-1, None], edges[1:, None]
    at = np.arange(length)[None]
    weights = np.clip(np.minimum(high, at + 1) - np.maximum(low, at), 0, None)
    return np.asarray(weights / weights.sum(1, keepdims=True), dtype=np.float32)


def _sharpness(grey: Floats) -> Floats:
    if min(grey.shape[1:]) < 3:
        return np.zeros(len(grey), np.float32)
    inner = grey[:, 1:-1, 1:-1]
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    return np.asarray((around - 4 * inner).reshape(len(grey), -1).var(1) * 255**2, dtype=np.float32)


def _entropy(grey: Floats) -> Floats:
    levels = np.clip((grey * 255).round(), 0, 255).astype(np.int64).reshape(len(grey), -1)
    offset = levels + 256 * np.arange(len(grey))[:, None]
    counts = np.bincount(offset.ravel(), minlength=256 * len(grey)).reshape(len(grey), 256)
    share = counts / levels.shape[1]
    return np.asarray(-(share * np.log2(np.where(share > 0, share, 1))).sum(1), dtype=np.float32)


@cache
def _cosines() -> Floats:
    k, t = np.arange(_HASH + 1)[:, None], np.arange(_DCT)[None]
    return np.asarray(np.cos(np.pi * k * (2 * t + 1) / (2 * _DCT)), dtype=np.float32)


def _hashes(grey: Floats) -> np.ndarray:
    small, basis = shrunk(grey, _DCT), _cosines()
    low = np.einsum("ah,nhw,bw->nab", basis, small, basis, optimize=True)[:, 1:, 1:].reshape(len(grey), -1)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").astype(np.uint64)[:, 0]
