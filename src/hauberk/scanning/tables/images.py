"""Pictures of odd kinds, from the numbers a reader says of each: dark, light, blurry, flat, odd in size or shape."""

from __future__ import annotations

import numpy as np
import polars as pl

from hauberk.scanning.tables.facts import Pictures
from hauberk.scanning.tables.gathered import rows_of

COLUMNS = ("width", "height", "channels", "light", "shade", "sharpness", "information", "hash", "content", "file")
"""Columns a reader of pictures gives; they are no features."""
_NEEDED = ("width", "height", "light", "shade", "sharpness", "information")
_DARK, _LIGHT = 0.32, 0.95
"""Brightness of the 99th, 5th percentile below, above which it is too dark, too light (as CleanVision has it)."""
_FLAT = 0.5
"""Bits of entropy below which a picture shows next to nothing."""
_BLURRY, _RELATIVE = 60.0, 0.1
"""Variance of the Laplacian below which a picture is blurred, if it is also that share of the set's median or less."""
_SIDE = 32
"""Side of pictures from which sharpness means anything."""
_TIMES = 4.0
_SHAPE = 0.35


class PictureNumbers:
    """Keeps the six numbers of every picture: 24 bytes each."""

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []
        self._ids: list[np.ndarray] = []

    def add(self, frame: pl.DataFrame, first: int) -> None:
        """Add a batch, where it is one of pictures."""
        if set(_NEEDED) <= set(frame.columns):
            self._parts.append(frame.select(pl.col(_NEEDED).cast(pl.Float32)).to_numpy())
            self._ids.append(np.arange(first, first + len(frame)))

    def result(self) -> tuple[Pictures, ...]:
        """Name the odd ones by kind."""
        if not self._parts:
            return ()
        numbers, ids = np.concatenate(self._parts), np.concatenate(self._ids)
        shown = np.isfinite(numbers).all(1)
        numbers, ids = numbers[shown], ids[shown]
        if not len(ids):
            return ()
        kinds = _kinds(*numbers.T)
        return tuple(
            Pictures(kind=kind, rows=rows_of(ids[odd]), of=len(ids)) for kind, odd in kinds.items() if odd.any()
        )


def _kinds(
    width: np.ndarray,
    height: np.ndarray,
    light: np.ndarray,
    shade: np.ndarray,
    sharpness: np.ndarray,
    information: np.ndarray,
) -> dict[str, np.ndarray]:
    area = np.sqrt(width * height)
    usual = np.median(area)
    large = np.minimum(width, height) >= _SIDE
    return {
        "dark": light < _DARK,
        "light": shade > _LIGHT,
        "flat": information < _FLAT,
        "blurry": large & (sharpness < min(_BLURRY, _RELATIVE * float(np.median(sharpness)))),
        "odd_size": (area > _TIMES * usual) | (area < usual / _TIMES),
        "odd_shape": np.minimum(width / height, height / width) < _SHAPE,
    }
