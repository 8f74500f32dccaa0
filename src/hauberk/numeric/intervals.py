"""Intervals of a share: for a sample size fixed beforehand, and for one that the results themselves decide."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import torch


class Interval(NamedTuple):
    """A value and the bounds that cover the truth with the level asked for."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the distance between the bounds."""
        return (self.high - self.low) / 2


EVERYTHING = Interval(0.5, 0.0, 1.0)
"""What is known of a share before anything was measured."""


def clopper_pearson(k: int, n: int, level: float = 0.95) -> Interval:
    """Bound a share seen k times in n independent trials; n was fixed beforehand. Covers with at least `level`.

    Source: Clopper & Pearson 1934, by quantiles of the beta distribution. n = 0 gives [0, 1]. Raises ValueError.
    """
    _check(k, n, level)
    if n == 0:
        return EVERYTHING
    from scipy.special import betaincinv  # takes 0.1 s to import

    tail = (1 - level) / 2
    low = float(betaincinv(k, n - k + 1, tail)) if k > 0 else 0.0
    high = float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return Interval(k / n, low, high)


def wilson(k: int, n: int, level: float = 0.95) -> Interval:
    """Bound a share seen k times in n independent trials; narrower than Clopper–Pearson, covers `level` on average.

    Source: Wilson 1927, the shares whose score test at 1 − level does not reject k. n = 0 gives [0, 1].
    """
    _check(k, n, level)
    if n == 0:
        return EVERYTHING
    z = NormalDist().inv_cdf((1 + level) / 2)
    value, shrink = k / n, 1 + z * z / n
    middle = (value + z * z / (2 * n)) / shrink
    reach = z / shrink * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n))
    low = 0.0 if k == 0 else max(0.0, middle - reach)
    return Interval(value, low, 1.0 if k == n else min(1.0, middle + reach))


def beta_mixture(k: int, n: int, level: float = 0.95, prior: float = 0.5) -> Interval:
    """Bound a share seen k times in n trials, whenever and for whatever reason the trials were stopped.

    All bounds of the growing sample cover the truth at once with probability `level`, so one may look after every
    trial and stop when the interval is narrow enough. The likelihood under Beta(prior, prior) over the likelihood at
    p is a martingale at the true p; by Ville's inequality it ever reaches 1 / (1 − level) with probability 1 − level
    at most, and the interval holds the p where it has not.
    Source: Robbins 1970, §3; Waudby-Smith & Ramdas 2024, arXiv:2010.09686, for bounded means.
    """
    _check(k, n, level)
    if n == 0:
        return EVERYTHING
    value = k / n
    bar = _log_beta(k + prior, n - k + prior) - _log_beta(prior, prior) + math.log(1 - level)
    low = 0.0 if k == 0 else _crossing(k, n, bar, outside=0.0, inside=value)
    high = 1.0 if k == n else _crossing(k, n, bar, outside=1.0, inside=value)
    return Interval(value, low, high)


def focused_mixture(k: int, n: int, level: float = 0.9, weight: float = 50.0) -> Interval:
    """Bound a share as `beta_mixture` does, with a prior that lies around each p that is tested.

    A bound ten points away from the truth is left behind with fewer trials, one far away or very near with more: for
    deciding on which side of a given bound a share lies. Each end alone holds with probability (1 + level) / 2.
    weight: trials the prior is worth. Source: Robbins 1970, §3, a test martingale for each p of its own.
    """
    _check(k, n, level)
    if n == 0:
        return EVERYTHING
    value, bar = k / n, -math.log(1 - level)

    def kept(p: float) -> bool:
        a, b = weight * p, weight * (1 - p)
        gain = _log_beta(k + a, n - k + b) - _log_beta(a, b) - _log_likelihood(k, n, p)
        return gain < bar

    edge = 1e-9
    low = 0.0 if k == 0 or kept(edge) else _border(kept, outside=edge, inside=value)
    high = 1.0 if k == n or kept(1 - edge) else _border(kept, outside=1 - edge, inside=value)
    return Interval(value, low, high)


def bootstrap_median(values: torch.Tensor, rng: torch.Generator, level: float = 0.95, draws: int = 1000) -> Interval:
    """Bound the median of values (n,), which may be infinite, by the percentiles of medians of resamples.

    The lower of the two middle values is the median of an even number: no infinity is averaged. Source: Efron 1979.
    """
    if values.ndim != 1 or not len(values) or bool(values.isnan().any()):
        raise ValueError("values are one non-empty row of numbers without NaN")
    rows = torch.randint(len(values), (draws, len(values)), generator=rng)
    medians = values[rows].median(dim=1).values.sort().values
    tail = (1 - level) / 2
    low, high = (min(draws - 1, max(0, round(draws * share))) for share in (tail, 1 - tail))
    return Interval(float(values.median()), float(medians[low]), float(medians[high]))


def _check(k: int, n: int, level: float) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share")
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not at {level}")


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log_likelihood(k: int, n: int, p: float) -> float:
    """Return log p^k (1 − p)^(n − k) with 0 · log 0 = 0."""
    if (k > 0 and p <= 0) or (k < n and p >= 1):
        return -math.inf
    return (k * math.log(p) if k else 0.0) + ((n - k) * math.log1p(-p) if k < n else 0.0)


def _crossing(k: int, n: int, bar: float, *, outside: float, inside: float) -> float:
    """Bisect for the p where the log-likelihood falls to `bar`; the end outside is returned, so the cover is kept."""
    return _border(lambda p: _log_likelihood(k, n, p) > bar, outside=outside, inside=inside)


def _border(kept: Callable[[float], bool], *, outside: float, inside: float) -> float:
    for _ in range(60):
        middle = (outside + inside) / 2
        if kept(middle):
            inside = middle
        else:
            outside = middle
    return outside
