"""Receiver operating characteristic: curve, area with DeLong's interval, and true positives at few false positives."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import torch

from hauberk.numeric.difference import difference
from hauberk.numeric.intervals import Interval, clopper_pearson, wilson


class Curve(NamedTuple):
    """Rates of the rule "score > threshold": false and true positive rates (k,), thresholds falling from inf (k,)."""

    fpr: torch.Tensor
    tpr: torch.Tensor
    thresholds: torch.Tensor


class Rate(NamedTuple):
    """A true positive rate at a false positive rate. spent: false positives behind the value."""

    interval: Interval
    threshold: float
    spent: int


def curve(positive: torch.Tensor, negative: torch.Tensor) -> Curve:
    """Trace the curve of positive (m,) against negative (n,) scores; equal scores make one step, never two."""
    positive, negative = _checked(positive, negative)
    values = torch.unique(torch.cat((positive, negative))).flip(0)
    above = [1 - torch.searchsorted(part.sort().values, values) / len(part) for part in (negative, positive)]
    start = torch.zeros(1, dtype=torch.float64)
    infinity = torch.full((1,), math.inf, dtype=torch.float64)
    # "score ≥ v" is written as "score > the next lower value" so that one rule serves curve and threshold alike.
    lower = torch.cat((values, torch.full((1,), -math.inf, dtype=torch.float64)))
    return Curve(torch.cat((start, above[0])), torch.cat((start, above[1])), torch.cat((infinity, lower[1:])))


def area(positive: torch.Tensor, negative: torch.Tensor, level: float = 0.95) -> Interval:
    """Return the area under the curve, P(positive > negative) + P(equal) / 2, with an interval.

    Variance of DeLong et al. 1988 from midranks (Sun & Xu 2014), on the logit scale, which keeps the interval inside
    (0, 1) and its coverage near the ends. Where that variance vanishes (a perfect 0 or 1, or nothing but ties) the
    bounds come from min(m, n) independent pairs that all came out the same way, which is exact.
    """
    positive, negative = _checked(positive, negative)
    m, n = len(positive), len(negative)
    both = _midranks(torch.cat((positive, negative)))
    over = (both[:m] - _midranks(positive)) / n
    under = 1 - (both[m:] - _midranks(negative)) / m
    value = float(over.mean())
    variance = sum(float(part.var()) / len(part) if len(part) > 1 else 0.25 for part in (over, under))
    if variance <= 0 or not 0 < value < 1:
        won = value * min(m, n)
        ends = [clopper_pearson(count, min(m, n), level) for count in (math.floor(won), math.ceil(won))]
        return Interval(value, ends[0].low, ends[1].high)
    center = math.log(value / (1 - value))
    reach = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt(variance) / (value * (1 - value))
    return Interval(value, _expit(center - reach), _expit(center + reach))


def true_positives(positive: torch.Tensor, negative: torch.Tensor, fpr: float, level: float = 0.95) -> Rate:
    """Return the best true positive rate among rules "score > t" whose false positive rate is at most `fpr`.

    The interval holds for any distribution and any sample size: order statistics of the negatives bracket the unknown
    threshold (1 − level is shared between them), and Clopper–Pearson bounds the positives above the bracket's ends.
    With few negatives the lower end is therefore 0: nobody can know the rate at 0.1 % from 300 of them.
    Raises ValueError where n · fpr < 1, since no false positive could be spent.
    """
    positive, negative = _checked(positive, negative)
    n, m = len(negative), len(positive)
    spent = math.floor(n * fpr + 1e-9)
    if spent < 1:
        raise ValueError(f"{n} negatives cannot show a false positive rate of {fpr:g}: {math.ceil(1 / fpr)} are needed")
    ordered = negative.sort(descending=True).values
    share = (1 - level) / 4
    below = _binomial_cdf(n, fpr)
    # Low end: the (k+1)-th largest negative lies above the true quantile but for probability P(Bin(n, fpr) ≤ k).
    k = int((below <= share).sum()) - 1
    # High end: the j-th largest lies below it but for probability P(Bin(n, fpr) ≥ j) = 1 − P(Bin ≤ j − 1).
    j = int((1 - below > share).sum()) + 1
    above = [int((positive > ordered[index]).sum()) if index < n else m for index in (spent, max(k, 0), j - 1)]
    tail = 1 - 2 * share  # two-sided level whose each end leaves `share`
    low = clopper_pearson(above[1], m, tail).low if k >= 0 else 0.0
    high = clopper_pearson(above[2], m, tail).high
    threshold = float(ordered[spent]) if spent < n else -math.inf
    return Rate(
        Interval(above[0] / m, min(low, above[0] / m), max(high, above[0] / m)),
        threshold,
        int((negative > threshold).sum()),
    )


def advantage(positive: torch.Tensor, negative: torch.Tensor, threshold: float, level: float = 0.95) -> Interval:
    """Return TPR − FPR of the rule "score ≥ threshold" with Newcombe's interval (1998, method 10), from Wilson's."""
    positive, negative = _checked(positive, negative)
    rates = [wilson(int((part >= threshold).sum()), len(part), level) for part in (positive, negative)]
    return difference(rates[0], rates[1])


def balanced_accuracy(
    positive: torch.Tensor, negative: torch.Tensor, rng: torch.Generator, level: float = 0.95
) -> Interval:
    """Return (TPR + TNR) / 2 of the best threshold, chosen on one half of the scores and judged on the other.

    Both halves serve once each, so that the threshold never sees what it is judged on. Newcombe's interval of
    TPR − FPR, halved. Raises ValueError for fewer than 2 scores a side.
    """
    positive, negative = _checked(positive, negative)
    if min(len(positive), len(negative)) < 2:
        raise ValueError("a threshold needs two scores of each kind to be chosen and judged")
    halves = [torch.randperm(len(part), generator=rng).to(torch.int64) % 2 == 0 for part in (positive, negative)]
    caught = wrong = 0
    for first in (True, False):
        known = [part[half == first] for part, half in zip((positive, negative), halves, strict=True)]
        line = curve(*known)
        threshold = float(line.thresholds[(line.tpr - line.fpr).argmax()])
        caught += int((positive[halves[0] != first] > threshold).sum())
        wrong += int((negative[halves[1] != first] > threshold).sum())
    gain = difference(wilson(caught, len(positive), level), wilson(wrong, len(negative), level))
    return Interval(*((1 + end) / 2 for end in (gain.value, gain.low, gain.high)))


def _checked(positive: torch.Tensor, negative: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    for part in (positive, negative):
        if part.ndim != 1 or not len(part) or bool(part.isnan().any()):
            raise ValueError("scores are one non-empty row of numbers without NaN")
    return positive.detach().cpu().double(), negative.detach().cpu().double()


def _midranks(values: torch.Tensor) -> torch.Tensor:
    """Rank from 1; equal values share the mean of their ranks."""
    ordered = values.sort().values
    left = torch.searchsorted(ordered, values, right=False)
    right = torch.searchsorted(ordered, values, right=True)
    return (left + right + 1).double() / 2


def _binomial_cdf(n: int, p: float) -> torch.Tensor:
    """P(Bin(n, p) ≤ k) for k = 0 … n; 0 < p < 1."""
    k = torch.arange(n + 1, dtype=torch.float64)
    total = torch.tensor(float(n + 1), dtype=torch.float64)
    choose = total.lgamma() - (k + 1).lgamma() - (n - k + 1).lgamma()
    return (choose + k * math.log(p) + (n - k) * math.log1p(-p)).exp().cumsum(0).clamp(max=1.0)


def _expit(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))
