"""Isotonic regression of a yes or no on a score, by pooling neighbours that are out of order."""

from __future__ import annotations

from typing import NamedTuple

import torch


class Block(NamedTuple):
    """Records whose scores are told apart from others' but not from each other's. hits of size are positive."""

    hits: int
    size: int


def isotonic(score: torch.Tensor, positive: torch.Tensor) -> tuple[torch.Tensor, list[Block]]:
    """Fit a rising share of positives to scores (n,) → the block of each record (n,) int64, and the blocks in order.

    Pool adjacent violators (Ayer et al. 1955). Equal scores share a block.
    """
    values, place = torch.unique(score.double(), return_inverse=True)
    size = torch.bincount(place, minlength=len(values)).tolist()
    hits = torch.bincount(place, positive.double(), minlength=len(values)).round().long().tolist()
    blocks: list[tuple[int, int, int]] = []  # hits, size, values pooled
    for own in zip(hits, size, [1] * len(values), strict=True):
        now = own
        while blocks and blocks[-1][0] * now[1] >= now[0] * blocks[-1][1]:
            before = blocks.pop()
            now = (before[0] + now[0], before[1] + now[1], before[2] + now[2])
        blocks.append(now)
    of_value = torch.repeat_interleave(torch.arange(len(blocks)), torch.tensor([row[2] for row in blocks]))
    return of_value[place], [Block(row[0], row[1]) for row in blocks]
