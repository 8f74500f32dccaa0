"""Lines below and above activation functions, each valid between a lowest and a highest input."""

from __future__ import annotations

from collections.abc import Callable

import torch

from hauberk.numeric.linear_bounds_steps import Bend, Interval, Lines

Tensor = torch.Tensor

_HALVINGS = 30
_NARROW = 1e-6
"""Intervals narrower than this get level lines: a chord over them is no number."""


def relu(slope: float = 0.0) -> Bend:
    """ReLU, or leaky ReLU with `slope` below 0, 0 ≤ slope < 1.

    Above an unstable value lies the chord; below it the identity where the interval leans to the positive side, else
    the function's negative branch (Zhang et al. 2018, arXiv:1811.00866, §3.3: CROWN's adaptive choice).
    """

    def value(x: Tensor) -> Tensor:
        return torch.where(x >= 0, x, slope * x)

    def lines(box: Interval) -> Lines:
        low, high = box
        width = (high - low).clamp(min=1e-12)
        chord = (high - slope * low) / width
        on, off = low >= 0, high <= 0
        top = torch.where(on, 1.0, torch.where(off, slope, chord))
        offset = torch.where(on | off, 0.0, high * (1 - chord))
        leaning = torch.where(high > -low, 1.0, slope)
        under = torch.where(on, 1.0, torch.where(off, slope, leaning))
        return Lines(under, torch.zeros_like(low), top, offset)

    return Bend(value, lines)


def tanh() -> Bend:
    """Hyperbolic tangent."""
    return Bend(torch.tanh, lambda box: _sigmoidal(torch.tanh, lambda x: 1 - torch.tanh(x).square(), box), kinked=False)


def sigmoid() -> Bend:
    """Logistic function."""

    def slope(x: Tensor) -> Tensor:
        return torch.sigmoid(x) * torch.sigmoid(-x)

    return Bend(torch.sigmoid, lambda box: _sigmoidal(torch.sigmoid, slope, box), kinked=False)


def _sigmoidal(value: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor], box: Interval) -> Lines:
    """Bound an S-shaped function: convex below 0, concave above (Zhang et al. 2018, tables 2 and 3)."""
    low, high = box
    at_low, at_high = value(low), value(high)
    narrow = high - low < _NARROW
    chord = (at_high - at_low) / (high - low).clamp(min=_NARROW)
    above = _tangent(value, slope, chord, low, high)
    mirrored = _tangent(lambda x: -value(-x), lambda x: slope(-x), chord, -high, -low)
    below = (mirrored[0], -mirrored[1])
    zero = torch.zeros_like(low)
    return Lines(
        torch.where(narrow, zero, below[0]),
        torch.where(narrow, at_low, below[1]),
        torch.where(narrow, zero, above[0]),
        torch.where(narrow, at_high, above[1]),
    )


def _tangent(
    value: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor], chord: Tensor, low: Tensor, high: Tensor
) -> tuple[Tensor, Tensor]:
    """Return slope and offset of a line above the function: its chord, or a tangent of its concave side.

    The tangent at the middle where it lies above the low end; else the one that meets the function there, found by
    bisection from the safe side, if there is one. Every tangent further right lies above, too.
    """
    middle = (low + high) / 2
    safe, near = high.clamp(min=0), torch.zeros_like(low)
    at_low = value(low)
    for _ in range(_HALVINGS):
        point = (safe + near) / 2
        over = value(point) - slope(point) * (point - low) >= at_low  # the tangent lies above the low end
        safe, near = torch.where(over, point, safe), torch.where(over, near, point)
    point = torch.where(low >= 0, middle, torch.maximum(safe, middle))
    steep = slope(point)
    offset = value(point) - steep * point
    # The chord bounds from above where the function lies below it: all convex, or steeper at the high end than it.
    convex = (high <= 0) | (slope(high) >= chord)
    chorded = at_low - chord * low
    use = convex & (low < 0)
    return torch.where(use, chord, steep), torch.where(use, chorded, offset)
