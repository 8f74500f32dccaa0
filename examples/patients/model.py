"""The diagnosis model: a small network on 30 measurements of cell nuclei, in the units in which they are recorded."""

from __future__ import annotations

import torch
from torch import nn

WIDTH = 256

# What measurements are scaled by: round numbers after the whole of this old, public data set. A clinic takes them from
# patients elsewhere: a mean and a deviation of its own would be a release that no account of the training counts.
# Radius, texture, perimeter, area, smoothness, compactness, concavity, concave points, symmetry, fractal dimension.
CENTRE = torch.tensor(
    [
        [14.0, 19.0, 90.0, 650.0, 0.1, 0.1, 0.09, 0.05, 0.18, 0.06],  # mean of the nuclei
        [0.4, 1.2, 3.0, 40.0, 0.007, 0.025, 0.03, 0.012, 0.02, 0.004],  # its standard error
        [16.0, 26.0, 107.0, 880.0, 0.13, 0.25, 0.27, 0.11, 0.29, 0.08],  # mean of the three largest
    ]
).flatten()
SPREAD = torch.tensor(
    [
        [3.5, 4.0, 24.0, 350.0, 0.014, 0.05, 0.08, 0.04, 0.03, 0.007],
        [0.3, 0.5, 2.0, 45.0, 0.003, 0.018, 0.03, 0.006, 0.008, 0.003],
        [5.0, 6.0, 33.0, 570.0, 0.023, 0.16, 0.2, 0.07, 0.06, 0.018],
    ]
).flatten()


class DiagnosisNet(nn.Module):
    """Two hidden layers: (n, 30) measurements → (n, 2) logits of malignant and benign."""

    def __init__(self) -> None:
        super().__init__()
        self.classify = nn.Sequential(
            nn.Linear(30, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Score measurements; what lies far outside of their usual range counts as its end."""
        return self.classify(((x - CENTRE) / SPREAD).clamp(-4.0, 4.0))


def build() -> DiagnosisNet:
    """Make the network hauberk.toml names as its factory."""
    return DiagnosisNet()
