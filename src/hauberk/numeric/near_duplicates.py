"""Exact and near duplicates: of rows by distance to the nearest, of texts by what they share word for word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

Tensor = torch.Tensor

BLOCK = 512
SHINGLE = 8
"""Words of a shingle."""


class Nearest(NamedTuple):
    """For each row: the distance (n,) to the nearest known row, and its place (n,)."""

    distance: Tensor
    place: Tensor


def nearest(x: Tensor, known: Tensor) -> Nearest:
    """Find the nearest of known rows (m, …) for each x (n, …), in l2 after each column is scaled by its deviation."""
    first, second = x.flatten(1).double(), known.flatten(1).double()
    scale = second.std(0)
    scale = torch.where(scale > 1e-9, scale, 1.0)
    plain = "donot_use_mm_for_euclid_dist"  # products cancel where rows are equal, and equal rows must show
    found = [torch.cdist(part, second / scale, compute_mode=plain).min(1) for part in torch.split(first / scale, BLOCK)]
    return Nearest(torch.cat([row.values for row in found]), torch.cat([row.indices for row in found]))


class Shared(NamedTuple):
    """What a text shares with known ones: share of its shingles found there, longest run of words, where; or −1."""

    share: float
    run: int
    place: int


def shared(texts: Sequence[str], known: Sequence[str], shingle: int = SHINGLE) -> list[Shared]:
    """Compare texts word for word with known ones; case and punctuation at the ends of words do not count.

    A text shorter than a shingle is compared whole.
    """
    index: dict[tuple[str, ...], int] = {}
    for place, text in enumerate(known):
        for piece in _pieces(_words(text), shingle):
            index.setdefault(piece, place)
    rows = []
    for text in texts:
        words = _words(text)
        pieces = list(_pieces(words, shingle))
        hits = [piece in index for piece in pieces]
        run = longest = 0
        for hit in hits:
            run = run + 1 if hit else 0
            longest = max(longest, run)
        place = next((index[piece] for piece, hit in zip(pieces, hits, strict=True) if hit), -1)
        length = min(len(words), longest + shingle - 1) if longest else 0
        rows.append(Shared(sum(hits) / len(hits) if hits else 0.0, length, place))
    return rows


def _words(text: str) -> list[str]:
    return [word for word in (part.strip(".,;:!?\"'()[]").lower() for part in text.split()) if word]


def _pieces(words: list[str], shingle: int) -> list[tuple[str, ...]]:
    if not words:
        return []
    if len(words) < shingle:
        return [tuple(words)]
    return [tuple(words[start : start + shingle]) for start in range(len(words) - shingle + 1)]
