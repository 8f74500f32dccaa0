"""Views of a record that a membership attacker asks about beside the record itself."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch

Augmentation: TypeAlias = Literal["none", "mirror", "shift"]
"""none: the record alone. mirror: images also left to right. shift: images also by one pixel in four directions."""


def views(x: torch.Tensor, how: Augmentation) -> tuple[torch.Tensor, ...]:
    """Return the records x (n, *shape) and their views, of the same shape; what is no image has one view."""
    if how == "none" or x.ndim != 4:
        return (x,)
    if how == "mirror":
        return (x, x.flip(3))
    moved = [torch.roll(x, step, dims=axis) for axis in (2, 3) for step in (-1, 1)]
    return (x, *moved)
