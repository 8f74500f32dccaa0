"""The digit classifier: a small convolutional network on 8×8 grey images in [0, 1]."""

from __future__ import annotations

import torch
from torch import nn


class DigitNet(nn.Module):
    """Two convolutions and two linear layers: (n, 1, 8, 8) → (n, 10) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classify = nn.Sequential(nn.Flatten(), nn.Linear(64 * 4 * 4, 128), nn.ReLU(), nn.Linear(128, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Score images."""
        return self.classify(self.features(x))


def build() -> DigitNet:
    """Make the network hauberk.toml names as its factory."""
    return DigitNet()
