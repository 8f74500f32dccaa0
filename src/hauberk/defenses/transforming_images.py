"""Steps of preprocessing that several defenses share: rounding to levels, the median of neighbours."""

from __future__ import annotations

import torch
from torch.nn import functional

from hauberk.core.errors import MissingPower
from hauberk.core.protocols import Target

Tensor = torch.Tensor


def rounded(x: Tensor, levels: int, bounds: tuple[float, float]) -> Tensor:
    """Round x (n, *shape) to `levels` values spread evenly over the bounds; autograd sees a gradient of 0."""
    low, high = bounds
    step = (high - low) / (levels - 1)
    return low + step * ((x - low) / step).round()


def median(images: Tensor, window: int) -> Tensor:
    """Take the median of `window` × `window` pixels around each, channel by channel, borders mirrored.

    images: (n, c, h, w). A window of even width reaches one pixel further up and left, and takes
    the upper of the two middle values. Source: Xu et al. 2018, §III-B.
    """
    before, after = window // 2, (window - 1) // 2
    mode = "reflect" if max(before, after) < min(images.shape[2:]) else "replicate"
    wide = functional.pad(images, (before, after, before, after), mode=mode)
    patches = wide.unfold(2, window, 1).unfold(3, window, 1)
    return patches.flatten(4).kthvalue(window * window // 2 + 1, dim=4).values


def demand_images(target: Target, x: Tensor | None, what: str) -> None:
    """Raise MissingPower unless inputs are images (c, h, w); x: a batch of them where the target does not know yet."""
    shape = target.spec.shape or (tuple(x.shape[1:]) if x is not None else ())
    if len(shape) != 3:
        raise MissingPower(
            f"{what} works on images, {target.spec.name} takes {shape}", fix="choose a defense for such inputs"
        )
