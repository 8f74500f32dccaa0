"""The digit classifier: a small convolutional network on 8×8 grey images in [0, 1]."""

from __future__ import annotations

import torch
from torch import nn


def block(channels: int, out: int) -> nn.Sequential:
    """Convolve twice, each followed by a batch norm, and halve the picture."""
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, padding=1),
        nn.BatchNorm2d(out),
        nn.ReLU(),
        nn.Conv2d(out, out, 3, padding=1),
        nn.BatchNorm2d(out),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


class DigitNet(nn.Module):
    """A small VGG, two blocks and two linear layers: (n, 1, 8, 8) → (n, 10) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(block(1, 64), block(64, 128))
        self.classify = nn.Sequential(nn.Flatten(), nn.Linear(128 * 2 * 2, 128), nn.ReLU(), nn.Linear(128, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Score images."""
        return self.classify(self.features(x))


def build() -> DigitNet:
    """Make the network hauberk.toml names as its factory."""
    return DigitNet()
