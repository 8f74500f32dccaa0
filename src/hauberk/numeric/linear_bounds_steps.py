"""The steps of a network as linear bounds need them: forward, on intervals, and the transpose on coefficients."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import torch

Tensor = torch.Tensor
Shape: TypeAlias = tuple[int, ...]


class Interval(NamedTuple):
    """Lowest and highest values (n, *shape)."""

    lower: Tensor
    upper: Tensor


class Pulled(NamedTuple):
    """What a step makes of coefficients (n or 1, m, *out) on its output, alike for all samples where there is 1.

    coefficients: (n or 1, m, *in) on each of its inputs. constant: (n or 1, m). Their sum bounds the output's sum from
    below.
    """

    coefficients: tuple[Tensor, ...]
    constant: Tensor


class Step(Protocol):
    """One step of a network."""

    def interval(self, *inputs: Interval) -> Interval:
        """Bound the output for all inputs in these intervals."""
        ...

    def pull(self, over: Tensor, inputs: tuple[Interval, ...], rows: Tensor | None = None) -> Pulled:
        """Bound Σ over · output (n, m, *out) from below by a linear function of the inputs, valid in the intervals.

        rows: (n,) the sample of each, where coefficients are not those of all samples in their order.
        """
        ...


@dataclass(frozen=True, slots=True)
class Affine:
    """A linear step with an offset. Each function takes and gives (k, *shape).

    linear: without the offset. absolute: with its weights' absolute values. transpose: of `linear`. offset: (1, *out).
    mixes: whether an output depends on several inputs; intervals through two such steps are not exact.
    squares: with its weights squared, for lengths in l2; None where nobody has said.
    """

    linear: Callable[[Tensor], Tensor]
    absolute: Callable[[Tensor], Tensor]
    transpose: Callable[[Tensor], Tensor]
    offset: Tensor
    mixes: bool = True
    squares: Callable[[Tensor], Tensor] | None = None

    def interval(self, *inputs: Interval) -> Interval:
        """Take the middle through the step and the half width through its absolute values."""
        (box,) = inputs
        middle = self.linear((box.lower + box.upper) / 2) + self.offset
        half = self.absolute((box.upper - box.lower) / 2)
        return Interval(middle - half, middle + half)

    def pull(self, over: Tensor, inputs: tuple[Interval, ...] = (), rows: Tensor | None = None) -> Pulled:  # noqa: ARG002
        """Transpose: exact."""
        n, m = over.shape[:2]
        flat = over.flatten(0, 1)
        back = self.transpose(flat)
        return Pulled((back.reshape(n, m, *back.shape[1:]),), _dot(over, self.offset))


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of two steps' outputs, or their difference. sign: of the second, 1 or −1."""

    sign: int = 1

    def interval(self, *inputs: Interval) -> Interval:
        """Add ends."""
        first, second = inputs
        if self.sign < 0:
            second = Interval(-second.upper, -second.lower)
        return Interval(first.lower + second.lower, first.upper + second.upper)

    def pull(self, over: Tensor, inputs: tuple[Interval, ...] = (), rows: Tensor | None = None) -> Pulled:  # noqa: ARG002
        """Hand the coefficients to both."""
        return Pulled((over, self.sign * over), over.new_zeros(over.shape[:2]))


class Lines(NamedTuple):
    """Two lines for every value (n, *shape): slope and offset of one below and of one above a function."""

    low_slope: Tensor
    low_offset: Tensor
    high_slope: Tensor
    high_offset: Tensor


@dataclass(frozen=True, slots=True)
class Bend:
    """A monotone function of each value alone. value: the function. lines: bounds it on intervals."""

    value: Callable[[Tensor], Tensor]
    lines: Callable[[Interval], Lines]
    kinked: bool = True

    def interval(self, *inputs: Interval) -> Interval:
        """Apply it to both ends."""
        return Interval(self.value(inputs[0].lower), self.value(inputs[0].upper))

    def pull(self, over: Tensor, inputs: tuple[Interval, ...], rows: Tensor | None = None) -> Pulled:
        """Take the line below where a coefficient is positive and the line above where it is negative."""
        return self.along(over, self.lines(inputs[0]), rows)

    def along(self, over: Tensor, line: Lines, rows: Tensor | None = None) -> Pulled:
        """Pull as `pull` does, along lines (n, *shape) that are known already."""
        if rows is not None:
            line = Lines(*(part.index_select(0, rows) for part in line))
        up, down = over.clamp(min=0), over.clamp(max=0)
        slope = up * line.low_slope.unsqueeze(1) + down * line.high_slope.unsqueeze(1)
        constant = _dot(up, line.low_offset) + _dot(down, line.high_offset)
        return Pulled((slope,), constant)


@dataclass(frozen=True, slots=True)
class Most:
    """The greatest value of each window. windows: (k, *in) → (k, *out, w). places: (*out, w) flat indices into `in`."""

    windows: Callable[[Tensor], Tensor]
    places: Tensor
    shape: Shape

    def interval(self, *inputs: Interval) -> Interval:
        """Take the greatest of both ends."""
        return Interval(self.windows(inputs[0].lower).amax(-1), self.windows(inputs[0].upper).amax(-1))

    def pull(self, over: Tensor, inputs: tuple[Interval, ...], rows: Tensor | None = None) -> Pulled:
        """Bound it below by the value that is surely greatest, and above by that one or by the greatest upper end.

        Where one value's lower end lies above all other upper ends it is the output.
        """
        low, high = (self.windows(end if rows is None else end.index_select(0, rows)) for end in inputs[0])
        best, which = low.max(-1)
        others = high.scatter(-1, which.unsqueeze(-1), -torch.inf).amax(-1)
        sure = best >= others
        up, down = over.clamp(min=0), over.clamp(max=0)
        weight = up + down * sure.unsqueeze(1)
        place = self.places.expand(*which.shape, -1).gather(-1, which.unsqueeze(-1)).squeeze(-1)
        n, m = len(which), over.shape[1]
        back = over.new_zeros(n, m, math.prod(self.shape))
        back = back.scatter_add(2, place.flatten(1).unsqueeze(1).expand(n, m, -1), weight.flatten(2).expand(n, m, -1))
        constant = _dot(down, torch.where(sure, 0.0, high.amax(-1)))
        return Pulled((back.reshape(n, m, *self.shape),), constant)


def _dot(over: Tensor, values: Tensor) -> Tensor:
    """Sum over (n, m, *shape) · values (n or 1, *shape) → (n, m)."""
    flat, other = over.flatten(2), values.flatten(1).unsqueeze(2)
    if len(other) == 1:
        return (flat.flatten(0, 1) @ other[0]).reshape(flat.shape[:2])
    return (flat @ other).squeeze(2)
