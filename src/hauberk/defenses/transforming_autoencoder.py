"""A small autoencoder of a target's clean inputs, which purification and MagNet share."""

from __future__ import annotations

import math

import torch
from torch import nn

from hauberk.core.protocols import Progress, Split
from hauberk.defenses.transforming_training import descend, started, tensors

Tensor = torch.Tensor


class Autoencoder(nn.Module):
    """Inputs within bounds → the like, through a narrow layer.

    shape: (c, h, w), convolved and halved once, or any other, flattened. width: channels, or the share 1/width of the
    values kept of a flat input.
    """

    def __init__(self, shape: tuple[int, ...], bounds: tuple[float, float], width: int) -> None:
        super().__init__()
        self.low, self.high = bounds
        if len(shape) == 3 and min(shape[1:]) >= 4:
            channels = shape[0]
            self.net: nn.Module = nn.Sequential(
                nn.Conv2d(channels, width, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(width, width, 3, stride=2, padding=1),
                nn.ReLU(),
                nn.Conv2d(width, width, 3, padding=1),
                nn.ReLU(),
                nn.Upsample(size=shape[1:], mode="nearest"),
                nn.Conv2d(width, channels, 3, padding=1),
            )
        else:
            whole = math.prod(shape)
            narrow = max(2, whole // 2)
            self.net = nn.Sequential(
                nn.Flatten(), nn.Linear(whole, narrow), nn.ReLU(), nn.Linear(narrow, whole), nn.Unflatten(1, shape)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return x (n, *shape) as it remembers such inputs."""
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        again: Tensor = middle + half * self.net((x - middle) / half)
        return again.clamp(self.low, self.high)


def remembered(
    data: Split,
    bounds: tuple[float, float],
    *,
    width: int,
    noise: float,
    epochs: int,
    rng: torch.Generator,
    progress: Progress,
    what: str,
) -> Autoencoder:
    """Train an autoencoder to give clean inputs back from noisy ones.

    noise: standard deviation as a share of the bounds' range. Raises UsageError for too few samples.
    Source: Meng & Chen 2017, arXiv:1705.09064, §4.1 (MagNet).
    """
    x, y = tensors(data, what)
    net = Autoencoder(tuple(x.shape[1:]), bounds, width)
    started(net, rng)
    spread = noise * (bounds[1] - bounds[0])

    def loss(part: Tensor, _: Tensor) -> Tensor:
        noisy = part + spread * torch.randn(part.shape, generator=rng)
        error: Tensor = (net(noisy.clamp(*bounds)) - part).square().mean()
        return error

    descend(net, loss, x, y, epochs, 3e-3, rng, progress, what)
    return net
