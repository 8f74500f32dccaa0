"""Rows of any kind as points: numbers scaled, categories as corners, texts as hashed words, pixels as such."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hauberk.scanning.tables.facts import ColumnFacts
from hauberk.scanning.tables.sampling import Sample

if TYPE_CHECKING:
    from hauberk.core.protocols import Floats

DIMENSIONS = 50
"""Principal components that are kept of wide rows."""
_CATEGORIES = 50
_WORDS = 1 << 12
_CLIP = 5.0
"""Deviations a number is clipped to: one wild value must not be all of the distance."""
_OVERSAMPLING, _POWER = 10, 2


def points(
    sample: Sample, columns: tuple[ColumnFacts, ...], leave_out: tuple[str, ...], rng: np.random.Generator
) -> Floats:
    """Return (n, d) float32 points of a sample's rows; pictures by their pixels, tables by their columns.

    leave_out: the label and other columns that are not features. Columns of one value, of free text beside others, and
    such that name each row are left out too; a table that has a text column and nothing else is compared by its words.
    """
    if sample.vectors is not None:
        return reduced(sample.vectors, rng)
    blocks, texts = [], []
    for column in columns:
        if column.name in leave_out or column.name not in sample.frame.columns or column.distinct < 2:
            continue
        values = sample.frame[column.name]
        if column.kind in ("number", "boolean", "time"):
            names_rows = column.whole and column.distinct >= 0.98 * column.rows and column.rows > 50 and column.rising
            if not names_rows:
                blocks.append(_scaled(values))
        elif column.kind == "text" and column.common and column.distinct <= _CATEGORIES:
            blocks.append(_corners(values, tuple(value for value, _ in column.common[:_CATEGORIES])))
        elif column.kind == "text" and (column.longest or 0) > 20:
            texts.append(values)
    if not blocks and texts:
        return reduced(words(texts), rng)
    if not blocks:
        return np.zeros((len(sample.frame), 0), np.float32)
    return reduced(np.concatenate(blocks, axis=1), rng)


def _scaled(values: pl.Series) -> Floats:
    """Centre on the median, scale by the deviation, clip; a gap is the median and is told in a column of its own."""
    numbers = values.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    there = np.isfinite(numbers)
    if not there.any():
        return np.zeros((len(numbers), 0), np.float32)
    known = numbers[there]
    centre, spread = np.median(known), known.std()
    scaled = np.zeros(len(numbers)) if spread == 0 else np.clip((numbers - centre) / spread, -_CLIP, _CLIP)
    scaled[~there] = 0
    made = scaled[:, None] if there.all() else np.stack((scaled, (~there).astype(np.float64)), axis=1)
    return made.astype(np.float32)


def _corners(values: pl.Series, categories: tuple[str, ...]) -> Floats:
    """Put each category at a corner, all √2·0.7 ≈ 1 apart; an unknown or missing value lies at the origin."""
    place = {value: index for index, value in enumerate(categories)}
    made = np.zeros((len(values), len(categories)), np.float32)
    for row, value in enumerate(values.cast(pl.String).to_list()):
        if value in place:
            made[row, place[value]] = 0.7
    return made


def words(texts: list[pl.Series]) -> Floats:
    """Hash the words of texts into unit vectors (n, 4096), rare words weighing more (tf-idf)."""
    made = np.zeros((len(texts[0]), _WORDS), np.float32)
    for series in texts:
        for row, text in enumerate(series.to_list()):
            for word in (text or "").lower().split()[:500]:
                made[row, zlib.crc32(word.encode()) % _WORDS] += 1
    used = (made > 0).sum(0)
    made = np.sqrt(made) * np.log((1 + len(made)) / (1 + used)).astype(np.float32)
    return np.asarray(made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def reduced(x: Floats, rng: np.random.Generator) -> Floats:
    """Keep the principal components of wide rows (randomised range finder, Halko et al. 2011, algorithm 4.4)."""
    if x.shape[1] <= DIMENSIONS or len(x) <= DIMENSIONS:
        return np.ascontiguousarray(x, dtype=np.float32)
    x = x - x.mean(0)
    basis = x @ rng.standard_normal((x.shape[1], DIMENSIONS + _OVERSAMPLING)).astype(np.float32)
    for _ in range(_POWER):
        basis, _ = np.linalg.qr(x @ (x.T @ basis))
    _, _, right = np.linalg.svd(basis.T @ x, full_matrices=False)
    return np.ascontiguousarray(x @ right[:DIMENSIONS].T, dtype=np.float32)
