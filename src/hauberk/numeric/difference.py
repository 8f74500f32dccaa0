"""The interval of a difference from the intervals of its two parts."""

from __future__ import annotations

import math

from hauberk.numeric.intervals import Interval


def difference(first: Interval, second: Interval) -> Interval:
    """Return first − second for two independent estimates whose intervals have the level wanted of the result.

    Square-and-add of the distances from each value to the end that matters (MOVER, Zou & Donner 2008); with Wilson's
    intervals of two rates it is Newcombe's method 10 (1998). It needs no symmetry and does not degenerate at 0 or 1.
    """
    value = first.value - second.value
    low = value - math.hypot(first.value - first.low, second.high - second.value)
    high = value + math.hypot(first.high - first.value, second.value - second.low)
    return Interval(value, low, high)
