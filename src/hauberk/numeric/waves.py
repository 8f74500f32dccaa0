"""Directions of low frequency: images made of slow cosine waves, along which boundaries of image models mostly turn."""

from __future__ import annotations

import math
from functools import cache

import torch

from hauberk.numeric.draws import normal

Tensor = torch.Tensor


def waves(shape: tuple[int, ...], share: float, like: Tensor, rng: torch.Generator) -> Tensor:
    """Draw normal directions of a shape (n, c, h, w) in the span of the slowest `share` (0–1) of waves a side.

    A row of a table (n, d) has no neighbours and so no frequency: there, and at share 1, the draw is plain.
    """
    if len(shape) != 4 or share >= 1:
        return normal(shape, like, rng)
    n, c, h, w = shape
    down, along = (cosines(side, max(1, round(share * side))).to(like) for side in (h, w))
    drawn = normal((n, c, down.shape[1], along.shape[1]), like, rng)
    return down @ drawn @ along.T


@cache
def cosines(length: int, count: int) -> Tensor:
    """Return the slowest `count` cosine waves on `length` points, orthonormal columns (length, count): the DCT-II."""
    place, order = torch.arange(length, dtype=torch.float64) + 0.5, torch.arange(count, dtype=torch.float64)
    wave = torch.cos(math.pi / length * place.unsqueeze(1) * order) * math.sqrt(2 / length)
    wave[:, 0] = 1 / math.sqrt(length)
    return wave.float()
