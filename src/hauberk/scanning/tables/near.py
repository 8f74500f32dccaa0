"""Near duplicates: points almost on top of each other, texts of nearly the same words."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

import numpy as np

from hauberk.core.tables import FIRST
from hauberk.scanning.tables.facts import Repeats
from hauberk.scanning.tables.gathered import rows_of

if TYPE_CHECKING:
    from hauberk.core.protocols import Floats

CLOSE = 0.05
"""Share of the median neighbour's distance below which two points are near duplicates."""
ALIKE = 0.8
"""Jaccard similarity of word shingles from which two texts are near duplicates."""
_HASHES, _BANDS, _SHINGLE = 96, 24, 3
_PRIME = np.uint64((1 << 61) - 1)


def near_points(nearest: np.ndarray, distance: Floats, ids: np.ndarray, rows: np.ndarray) -> Repeats:
    """Find rows whose nearest other row is much nearer than is usual.

    rows: places (m,) in `ids` that are asked; nearest, distance: (m,) of each.
    """
    if len(rows) < 20:
        return Repeats(known=len(ids))
    usual = float(np.median(distance))
    pairs = {
        (min(int(row), int(other)), max(int(row), int(other)))
        for row, other, gap in zip(rows, nearest, distance, strict=True)
        if gap <= CLOSE * usual
    }
    return _repeats(sorted(pairs), ids)


def near_texts(texts: list[str | None], ids: np.ndarray) -> Repeats:
    """Find texts that share most three-word shingles with an earlier one (MinHash and banding, Broder 1997)."""
    shingles = [_shingles(text or "") for text in texts]
    rows = [row for row, found in enumerate(shingles) if len(found) >= 5]
    if len(rows) < 2:
        return Repeats(known=len(ids))
    signatures = np.stack([_signature(shingles[row]) for row in rows])
    pairs: set[tuple[int, int]] = set()
    width = _HASHES // _BANDS
    for band in range(_BANDS):
        buckets: dict[bytes, int] = {}
        for place, part in enumerate(np.ascontiguousarray(signatures[:, band * width : (band + 1) * width])):
            first = buckets.setdefault(part.tobytes(), place)
            if first != place:
                pairs.add((rows[first], rows[place]))
    kept = [(a, b) for a, b in sorted(pairs) if _jaccard(shingles[a], shingles[b]) >= ALIKE and texts[a] != texts[b]]
    return _repeats(kept, ids)


def _repeats(pairs: list[tuple[int, int]], ids: np.ndarray) -> Repeats:
    again = np.array(sorted({b for _, b in pairs}), dtype=np.int64)
    groups = tuple((int(ids[a]), int(ids[b])) for a, b in pairs[:FIRST])
    return Repeats(rows=rows_of(ids[again]), groups=groups, known=len(ids))


def _shingles(text: str) -> frozenset[int]:
    found = re.findall(r"\w+", text.lower())[:2000]
    return frozenset(zlib.crc32(" ".join(found[i : i + _SHINGLE]).encode()) for i in range(len(found) - _SHINGLE + 1))


def _signature(shingles: frozenset[int]) -> np.ndarray:
    values = np.fromiter(shingles, np.uint64, len(shingles))
    with np.errstate(over="ignore"):
        hashed = (values[:, None] * _MULTIPLIERS + _OFFSETS) % _PRIME
    return np.asarray(hashed.min(0))


_DRAWS = np.random.default_rng(1997)
_MULTIPLIERS = _DRAWS.integers(1, 1 << 29, _HASHES).astype(np.uint64)
_OFFSETS = _DRAWS.integers(0, 1 << 60, _HASHES).astype(np.uint64)


def _jaccard(a: frozenset[int], b: frozenset[int]) -> float:
    return len(a & b) / len(a | b)
