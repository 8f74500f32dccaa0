"""Calibration: the least noise that keeps a promise, and the most steps a budget allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from hauberk.core.errors import UsageError
from hauberk.core.privacy_events import Event, Relation
from hauberk.numeric.accounting import epsilon

MOST_NOISE = 1e6
CLOSE = 1e-3
"""Relative distance to the budget at which a search ends; what is returned is always on the safe side."""


def noise_for(
    make: Callable[[float], Sequence[Event]],
    target: float,
    delta: float,
    *,
    relation: Relation = "add_or_remove",
    group: int = 1,
    method: str = "best",
) -> float:
    """Return the least noise multiplier σ, to 0.1 % of ε, with which `make(σ)` costs at most the ε asked for.

    make: the events of one plan, earlier ones on the same data among them. The search runs on log σ, where log ε is
    almost straight: a secant inside a bracket. Raises UsageError where no noise is enough.
    """
    if not target > 0 or not math.isfinite(target):
        raise UsageError(f"the budget is ε = {target:g}; it must be above 0", fix="0.1 to 10 is usual")
    bound = partial(epsilon, delta=delta, relation=relation, group=group, method=method)

    def cost(noise: float) -> float:
        return bound(make(noise)).epsilon

    low, high = _bracket(cost, target)
    if low == high:
        return high
    cheap, dear = cost(high), cost(low)
    for step in range(60):
        if cheap >= target * (1 - CLOSE) or high / low < 1 + 1e-9:
            break
        middle = _between(low, high, dear, cheap, target * (1 - CLOSE / 2), straight=step % 3 != 2)
        here = cost(middle)
        if here <= target:
            high, cheap = middle, here
        else:
            low, dear = middle, here
    return high


def _between(low: float, high: float, dear: float, cheap: float, target: float, *, straight: bool) -> float:
    """Guess where the curve through (low, dear) and (high, cheap) meets the target; the middle now and then."""
    share = 0.5
    if straight and math.isfinite(dear) and cheap > 0:
        share = (math.log(dear) - math.log(target)) / (math.log(dear) - math.log(cheap))
    return math.exp(math.log(low) + min(0.99, max(0.01, share)) * (math.log(high) - math.log(low)))


def _bracket(cost: Callable[[float], float], target: float) -> tuple[float, float]:
    low = high = 1.0
    if cost(high) > target:
        while cost(high) > target:
            low, high = high, high * 2
            if high > MOST_NOISE:
                raise UsageError(
                    f"no noise keeps ε at {target:g} here", fix="raise epsilon or delta, or see what was spent before"
                )
        return low, high
    while cost(low) <= target:
        high, low = low, low / 2
        if low < 1e-3:
            return high, high
    return low, high


def most_steps(
    make: Callable[[int], Sequence[Event]],
    wanted: int,
    budget: float,
    delta: float,
    *,
    relation: Relation = "add_or_remove",
    group: int = 1,
    method: str = "best",
) -> int:
    """Return how many of the wanted steps the budget allows: 0 where not even one, `wanted` where all do."""
    bound = partial(epsilon, delta=delta, relation=relation, group=group, method=method)

    def fits(steps: int) -> bool:
        return bound(make(steps)).epsilon <= budget

    if wanted == 0 or fits(wanted):
        return wanted
    if not fits(0):
        return 0
    low, high = 0, wanted
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low
