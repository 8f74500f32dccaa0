"""Adam's memory of many samples at once: running means of slopes, which shrink with the samples still searched."""

from __future__ import annotations

from dataclasses import dataclass

import torch

Tensor = torch.Tensor

# Kingma & Ba 2015, arXiv:1412.6980, algorithm 1 and the constants recommended there.
_MEAN, _SQUARE, _FINITE = 0.9, 0.999, 1e-8


@dataclass(frozen=True, slots=True)
class Moments:
    """Means of the slopes so far and of their squares, (n, *shape) each.

    age: how many slopes they hold, one number or one for each value. keeps: what stays of the mean square after one.
    """

    mean: Tensor
    square: Tensor
    age: int | Tensor = 0
    keeps: float = _SQUARE

    def after(self, slope: Tensor) -> Moments:
        """Return the memory with one more slope (n, *shape) in it."""
        mean = self.mean.lerp(slope, 1 - _MEAN)
        square = (self.square * self.keeps).addcmul_(slope, slope, value=1 - self.keeps)
        return Moments(mean, square, self.age + 1, self.keeps)

    def steady(self) -> Tensor:
        """Return the mean slope; that the memory began at nothing is taken out."""
        return self.mean / (1 - _MEAN**self.age)

    def size(self) -> Tensor:
        """Return the root of the mean square slope, likewise."""
        return (self.square / (1 - self.keeps**self.age)).sqrt_()

    def way(self, finite: float = _FINITE) -> Tensor:
        """Return Adam's step of rate 1: each value's mean over its size; slopes far below `finite` count as none."""
        return self.steady() / self.size().add_(finite)


def untouched(like: Tensor) -> Moments:
    """Return the memory of no slope yet, for values of this shape."""
    nothing = torch.zeros_like(like)
    return Moments(nothing, nothing)
