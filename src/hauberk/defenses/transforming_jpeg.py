"""JPEG without its lossless part: cosine transform of 8 × 8 blocks, quantised by the standard's tables, and back."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch.nn import functional

Tensor = torch.Tensor

SIDE = 8
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
)
"""ITU-T T.81, annex K, tables K.1 and K.2."""
_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
"""ITU-T T.871, clause 7: red, green and blue to luminance and two chrominances."""


def compressed(images: Tensor, quality: int, bounds: tuple[float, float]) -> Tensor:
    """Code and decode images (n, c, h, w) at `quality` 1–100; three channels are taken for colours, others for grey.

    Chrominance is not thinned out (4:4:4), pixels are rounded to 256 levels as a file holds them. What is borrowed to
    fill the last blocks repeats the border. Autograd sees the gradient of the rounding, which is 0.
    """
    low, high = bounds
    pixels = ((images - low) * (255 / (high - low))).round() - 128
    forth = torch.tensor(_YCC, dtype=images.dtype)
    colour = images.shape[1] == 3
    if colour:
        pixels = torch.einsum("ij,njhw->nihw", forth, pixels)
    tables = torch.stack([_table(_CHROMINANCE if colour and index else _LUMINANCE, quality) for index in range(3)])
    again = _blocks(pixels, tables[: images.shape[1]] if colour else tables[:1])
    if colour:
        again = torch.einsum("ij,njhw->nihw", torch.linalg.inv(forth), again)
    return low + (again.round() + 128).clamp(0, 255) * ((high - low) / 255)


def _blocks(planes: Tensor, tables: Tensor) -> Tensor:
    """Quantise the cosine coefficients of each block of planes (n, c, h, w) by tables (c or 1, 8, 8)."""
    high, wide = planes.shape[2:]
    padded = functional.pad(planes, (0, -wide % SIDE, 0, -high % SIDE), mode="replicate")
    blocks = padded.unfold(2, SIDE, SIDE).unfold(3, SIDE, SIDE)  # (n, c, rows, columns, 8, 8)
    basis = _cosines().to(planes)
    steps = tables[:, None, None].to(planes)
    coefficients = ((basis @ blocks @ basis.T) / steps).round() * steps
    back = basis.T @ coefficients @ basis
    return back.permute(0, 1, 2, 4, 3, 5).reshape(padded.shape)[..., :high, :wide]


def _table(table: tuple[tuple[int, ...], ...], quality: int) -> Tensor:
    """Scale a table as libjpeg does: 50 leaves it, 100 makes it all ones."""
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    return ((torch.tensor(table, dtype=torch.float32) * scale + 50) / 100).floor().clamp(1, 255)


@cache
def _cosines() -> Tensor:
    """Return the orthonormal cosine basis (8, 8), a frequency a row."""
    rows = [
        [
            math.sqrt((1 if row == 0 else 2) / SIDE) * math.cos((2 * column + 1) * row * math.pi / (2 * SIDE))
            for column in range(SIDE)
        ]
        for row in range(SIDE)
    ]
    return torch.tensor(rows, dtype=torch.float32)
