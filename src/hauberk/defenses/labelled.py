"""Labelled tensors, and how much of them is classified rightly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch


class Labelled(NamedTuple):
    """Inputs x (n, *shape) and labels y (n,) as tensors."""

    x: torch.Tensor
    y: torch.Tensor

    def take(self, rows: torch.Tensor) -> Labelled:
        """Return these rows."""
        return Labelled(self.x[rows], self.y[rows])

    def split(self, size: int = 256) -> Iterator[Labelled]:
        """Return it in parts of at most `size`."""
        cuts = (slice(start, start + size) for start in range(0, len(self.y), size))
        return (Labelled(self.x[cut], self.y[cut]) for cut in cuts)

    def to(self, device: torch.device) -> Labelled:
        """Return it on a device."""
        return Labelled(self.x.to(device), self.y.to(device))


class Accuracy(NamedTuple):
    """Shares of held-out samples classified rightly under attack, and without; ordered by the first."""

    robust: float
    clean: float
