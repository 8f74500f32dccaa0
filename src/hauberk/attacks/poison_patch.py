"""The patch that backdoors put on inputs: a square in a corner of an image, or some columns of a row."""

from __future__ import annotations

from types import EllipsisType
from typing import Literal, TypeAlias

import torch

from hauberk.core.errors import DataError

Corner: TypeAlias = Literal["top-left", "top-right", "bottom-left", "bottom-right"]
Pattern: TypeAlias = Literal["checker", "solid"]


def stamped(
    x: torch.Tensor, bounds: tuple[float, float], size: int, corner: Corner, pattern: Pattern, value: float
) -> torch.Tensor:
    """Put the patch on x (n, c, h, w) or (n, d), which stays as it is; raises DataError where it does not fit.

    size: its side in pixels, or how many columns. pattern: "checker" alternates bright and low, "solid" is bright.
    value: brightness as a share of the input range.
    """
    low, high = bounds
    result = x.clone()
    window = _window(x, size, corner)
    shape = result[window].shape[1:]
    cells = torch.arange(shape[-1])
    if x.ndim == 4:
        cells = cells + torch.arange(shape[-2])[:, None]
    bright = low + value * (high - low)
    patch = torch.where((cells % 2 == 0) | (pattern == "solid"), bright, low).clamp(low, high)
    result[window] = patch.to(x)
    return result


def _window(x: torch.Tensor, size: int, corner: Corner) -> tuple[EllipsisType | slice, ...]:
    if x.ndim not in (2, 4):
        raise DataError(f"a trigger needs images (n, c, h, w) or rows (n, d), not {tuple(x.shape)}")
    sides = x.shape[2:] if x.ndim == 4 else x.shape[1:]
    if not 1 <= size <= min(sides):
        raise DataError(f"a trigger of {size} does not fit into {tuple(x.shape[1:])}", fix="set a smaller size")
    vertical, horizontal = corner.split("-")
    start, end = slice(0, size), slice(-size, None)
    column = start if horizontal == "left" else end
    return (..., start if vertical == "top" else end, column) if x.ndim == 4 else (..., column)
