"""Exact nearest neighbours by blocks of matrix products; memory is bounded by the block, not by n²."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from hauberk.core.protocols import Floats

_CELLS = 1 << 23
"""Distances held at once: 32 MiB."""
_CHUNK = 32


class Neighbours(NamedTuple):
    """places: (n, k) rows of the reference, nearest first. distance: (n, k) Euclidean."""

    places: np.ndarray
    distance: Floats


def nearest_rows(x: Floats, k: int, reference: Floats | None = None) -> Neighbours:
    """Find the k nearest rows of `reference` (m, d) for each of x (n, d); without one, of x itself, the row left out.

    k is lowered to what there is. Distances of rows that are equal are 0 but for rounding.
    """
    own = reference is None
    other = x if reference is None else reference
    k = min(k, len(other) - own)
    if k < 1 or not len(x):
        return Neighbours(np.zeros((len(x), 0), np.int64), np.zeros((len(x), 0), np.float32))
    squares = np.einsum("ij,ij->i", other, other)
    size = max(1, _CELLS // len(other))
    parts = [_block(x, start, min(start + size, len(x)), other, squares, k, own) for start in range(0, len(x), size)]
    return Neighbours(
        np.concatenate([part.places for part in parts]), np.concatenate([part.distance for part in parts])
    )


def _block(x: Floats, low: int, high: int, other: Floats, squares: Floats, k: int, own: bool) -> Neighbours:
    here = x[low:high]
    gaps = (-2 * here) @ other.T
    gaps += squares
    if own:
        gaps[np.arange(high - low), np.arange(low, high)] = np.inf
    index, near = _least(gaps, k)
    near += np.einsum("ij,ij->i", here, here)[:, None]
    return Neighbours(index, np.sqrt(np.maximum(near, 0)))


def _least(gaps: Floats, k: int) -> tuple[np.ndarray, Floats]:
    """Return the places and values (n, k) of the k least of each row, ascending.

    The k-th least of the minima of chunks bounds the k-th least of a row: what is above it need not be sorted, and
    finding minima is what processors do fastest.
    """
    n, m = gaps.shape
    chunks = m // _CHUNK
    if chunks < 2 * k:
        index = np.argpartition(gaps, k - 1, axis=1)[:, :k] if k < m else np.tile(np.arange(k), (n, 1))
        near = np.take_along_axis(gaps, index, 1)
        order = np.argsort(near, axis=1, kind="stable")
        return np.take_along_axis(index, order, 1), np.take_along_axis(near, order, 1)
    minima = gaps[:, : chunks * _CHUNK].reshape(n, _CHUNK, chunks).min(1)
    bound = np.partition(minima, k - 1, axis=1)[:, k - 1 : k]
    rows, places = np.divmod(np.flatnonzero(gaps <= bound), m)
    values = gaps[rows, places]
    order = np.lexsort((values, rows))
    starts = np.searchsorted(rows, np.arange(n))[:, None] + np.arange(k)
    chosen = order[starts]
    return places[chosen], values[chosen]
