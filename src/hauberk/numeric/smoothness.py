"""How rough an image is, and how alike two images are."""

from __future__ import annotations

import torch

Tensor = torch.Tensor


def total_variation(x: Tensor) -> Tensor:
    """Return the mean absolute difference of neighbouring pixels (n,) of images (n, c, h, w)."""
    down, right = (x[:, :, 1:] - x[:, :, :-1]).abs(), (x[..., 1:] - x[..., :-1]).abs()
    return down.flatten(1).mean(1) + right.flatten(1).mean(1)


def similarity(first: Tensor, second: Tensor, span: float, window: int = 7) -> Tensor:
    """Return the structural similarity (n,), −1 to 1, of images (n, c, h, w) whose values span `span`.

    Wang et al. 2004 with a uniform window (at most the image's smaller side), over the places where it fits whole.
    """
    size = min(window, *first.shape[2:])
    count = size * size

    def mean(values: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(values, size, stride=1)

    a, b = first.double(), second.double()
    one, other = mean(a), mean(b)
    scale = count / (count - 1)
    spread = [
        scale * (mean(u * v) - p * q) for u, v, p, q in ((a, a, one, one), (b, b, other, other), (a, b, one, other))
    ]
    small, smaller = (0.01 * span) ** 2, (0.03 * span) ** 2
    made = (2 * one * other + small) * (2 * spread[2] + smaller)
    made = made / ((one.square() + other.square() + small) * (spread[0] + spread[1] + smaller))
    found: Tensor = made.flatten(1).mean(1)
    return found
