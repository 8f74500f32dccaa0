"""Private statistics: counts, sums, means, histograms, quantiles and selection, each with what it releases.

Every answer comes with its event for `numeric.accounting`. Neighbours differ by one row more or less.
Dwork & Roth 2014, chapter 3; quantiles: Smith 2011; selection: McSherry & Talwar 2007, McKenna & Sheldon 2020.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from hauberk.core.privacy_events import BoundedRelease, Event, GaussianRelease, LaplaceRelease
from hauberk.numeric.intervals import Interval
from hauberk.numeric.private_noise import NoiseSource


class Answer(NamedTuple):
    """Values (k,) float64, what was released, and the noise's standard deviation in their units.

    unknown: half-width that holds a value's own noise with 95 %; the sampling of rows is not in it.
    """

    values: torch.Tensor
    events: tuple[Event, ...]
    deviation: float
    unknown: float

    def interval(self, index: int = 0) -> Interval:
        """Return a value with the bounds its noise leaves."""
        value = float(self.values[index])
        return Interval(value, value - self.unknown, value + self.unknown)


def _noisy(exact: torch.Tensor, sensitivity: float, noise: float, source: NoiseSource, *, laplace: bool) -> Answer:
    """Add noise of `noise` sensitivities."""
    if not noise > 0:
        raise ValueError(f"the noise multiplier is {noise:g}; it must be above 0")
    scale = noise * sensitivity
    if laplace:
        drawn = source.laplace(exact.numel(), scale).view(exact.shape)
        return Answer(exact + drawn, (LaplaceRelease(noise=noise),), scale * math.sqrt(2), scale * math.log(20))
    drawn = source.normal(exact.numel(), scale=scale).double().view(exact.shape)
    return Answer(exact + drawn, (GaussianRelease(noise=noise),), scale, 1.96 * scale)


def count(rows: int, noise: float, source: NoiseSource, *, laplace: bool = True) -> Answer:
    """Count rows. noise: scale over the sensitivity, 1/ε for Laplace."""
    return _noisy(torch.tensor([float(rows)], dtype=torch.float64), 1.0, noise, source, laplace=laplace)


def bounded_sum(
    values: torch.Tensor, low: float, high: float, noise: float, source: NoiseSource, *, laplace: bool = True
) -> Answer:
    """Sum values (n,), each moved into [low, high], which must be known without looking at the data."""
    _range(low, high)
    exact = values.double().clamp(low, high).sum().view(1)
    return _noisy(exact, max(abs(low), abs(high)), noise, source, laplace=laplace)


def vector_sum(rows: torch.Tensor, norm: float, noise: float, source: NoiseSource) -> Answer:
    """Sum rows (n, d), each scaled to L2 norm `norm` at most, with Gaussian noise (TF Privacy: GaussianSumQuery)."""
    lengths = rows.double().norm(dim=1, keepdim=True)
    exact = (rows.double() * (norm / lengths.clamp_min(1e-30)).clamp_max(1.0)).sum(0)
    return _noisy(exact, norm, noise, source, laplace=False)


def mean(values: torch.Tensor, low: float, high: float, noise: float, source: NoiseSource) -> Answer:
    """Average values (n,) in [low, high]: a noisy sum about the middle over a noisy count, two releases.

    unknown: by the delta method from both.
    """
    _range(low, high)
    middle, half = (low + high) / 2, (high - low) / 2
    total = bounded_sum(values.double() - middle, -half, half, noise, source)
    number = count(len(values), noise, source)
    n = max(1.0, float(number.values))
    found = middle + max(-half, min(half, float(total.values) / n))
    spread = math.hypot(total.deviation, (found - middle) * number.deviation) / n
    return Answer(torch.tensor([found], dtype=torch.float64), (*total.events, *number.events), spread, 1.96 * spread)


def variance(values: torch.Tensor, low: float, high: float, noise: float, source: NoiseSource) -> Answer:
    """Estimate the variance of values (n,) in [low, high] from a noisy mean and one of squares: four releases."""
    _range(low, high)
    inside = values.double().clamp(low, high)
    middle = (low + high) / 2
    first = mean(inside - middle, low - middle, high - middle, noise, source)
    second = mean((inside - middle) ** 2, 0.0, (high - middle) ** 2, noise, source)
    found = max(0.0, float(second.values) - float(first.values) ** 2)
    spread = math.hypot(second.deviation, 2 * abs(float(first.values)) * first.deviation)
    return Answer(torch.tensor([found], dtype=torch.float64), (*first.events, *second.events), spread, 1.96 * spread)


def histogram(
    codes: torch.Tensor, bins: int, noise: float, source: NoiseSource, *, laplace: bool = False, positive: bool = True
) -> Answer:
    """Count rows in each bin, codes (n,) of 0 … bins − 1 known beforehand; a row is in one bin: all cost what one does.

    positive: negative counts become 0, which is no privacy lost. Rows out of range count nowhere.
    """
    inside = codes[(codes >= 0) & (codes < bins)]
    exact = torch.bincount(inside.long(), minlength=bins).double()
    answer = _noisy(exact, 1.0, noise, source, laplace=laplace)
    return answer._replace(values=answer.values.clamp_min(0)) if positive else answer


def exponential(scores: torch.Tensor, sensitivity: float, epsilon: float, source: NoiseSource) -> tuple[int, Event]:
    """Choose an index with probability ∝ exp(ε · score / (2 · sensitivity)): private selection, (ε, 0).

    Drawn as the largest of scores with Gumbel noise. sensitivity: how far one row moves any score.
    """
    uniform = source.uniform(len(scores)).clamp(2.0**-33, 1 - 2.0**-33)
    gumbel = -torch.log(-torch.log(uniform))
    return int((scores.double() * epsilon / (2 * sensitivity) + gumbel).argmax()), BoundedRelease(epsilon=epsilon)


def permute_and_flip(
    scores: torch.Tensor, sensitivity: float, epsilon: float, source: NoiseSource
) -> tuple[int, Event]:
    """Choose an index as `exponential` does, never with a larger expected loss (McKenna & Sheldon 2020, theorem 2).

    Drawn as the largest of scores with exponential noise (Ding et al. 2021, arXiv:2105.07260).
    """
    drawn = -torch.log(source.uniform(len(scores)) + 2.0**-33)
    return int((scores.double() * epsilon / (2 * sensitivity) + drawn).argmax()), BoundedRelease(epsilon=epsilon)


def quantile(
    values: torch.Tensor, share: float, low: float, high: float, epsilon: float, source: NoiseSource
) -> tuple[float, Event]:
    """Return a value about which `share` of values (n,) lie below, in [low, high], (ε, 0)-private.

    Smith 2011, algorithm 2: the exponential mechanism over the gaps between sorted values, weighted by their width; the
    score −|rank − share · n| moves by 1 at most when a row is added or removed.
    """
    _range(low, high)
    if not 0 <= share <= 1:
        raise ValueError(f"a share lies between 0 and 1, not at {share:g}")
    inside = values.double().clamp(low, high).sort().values
    edges = torch.cat((torch.tensor([low]).double(), inside, torch.tensor([high]).double()))
    widths = edges.diff()
    ranks = torch.arange(len(widths), dtype=torch.float64)
    weighted = -(ranks - share * len(inside)).abs() + 2 / epsilon * widths.clamp_min(1e-300).log()
    weighted = torch.where(widths > 0, weighted, -torch.inf)
    gap, event = exponential(weighted, 1.0, epsilon, source)
    return float(edges[gap] + source.uniform(1) * widths[gap]), event


def best_of(
    candidates: Sequence[Callable[[], float]], epsilon: float, sensitivity: float, source: NoiseSource
) -> tuple[int, Event]:
    """Choose the best of candidates by a score of private data: model selection. The scores themselves stay secret."""
    scores = torch.tensor([candidate() for candidate in candidates], dtype=torch.float64)
    return permute_and_flip(scores, sensitivity, epsilon, source)


def _range(low: float, high: float) -> None:
    if not low < high or not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"bounds run from {low:g} to {high:g}; name finite ones, in order")
