"""Lower bounds on ε from what an attacker guessed rightly: the maths of privacy audits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from hauberk.numeric.intervals import clopper_pearson

MOST = 60.0
"""No audit shows more: the bound of m right guesses grows with log m."""


class Lower(NamedTuple):
    """A lower bound on ε that holds with probability `level`. guesses, right: those it rests on."""

    epsilon: float
    level: float
    guesses: int
    right: int


def one_run_p_value(canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """Return how likely so many right guesses are at most, were the run (ε, δ)-private.

    Each canary was put in by a fair coin; a guess says in or out, the rest abstains.
    Steinke, Nasr & Jagielski 2023, arXiv:2305.08846, theorem 5.2 (appendix D for the sum over i).
    """
    if not 0 <= right <= guesses <= canaries:
        raise ValueError(f"{right} right of {guesses} guesses about {canaries} canaries cannot be")
    from scipy.special import bdtrc
    from scipy.stats import binom

    share = 1 / (1 + math.exp(-epsilon))
    beta = float(bdtrc(right - 1, guesses, share)) if right > 0 else 1.0
    if delta == 0 or right == 0:
        return min(1.0, beta)
    steps = np.arange(1, right + 1)
    masses: npt.NDArray[np.float64] = np.cumsum(binom.pmf(right - steps, guesses, share))
    alpha = float(np.max(masses / steps))
    return min(1.0, beta + 2 * canaries * delta * alpha)


def one_run_lower(canaries: int, guesses: int, right: int, delta: float, level: float = 0.95) -> Lower:
    """Return the largest ε that so many right guesses refute at this level; 0 where they refute nothing."""

    def refuted(epsilon: float) -> bool:
        return one_run_p_value(canaries, guesses, right, epsilon, delta) < 1 - level

    return Lower(_largest(refuted), level, guesses, right)


def best_one_run(
    scores: torch.Tensor,
    inside: torch.Tensor,
    delta: float,
    level: float = 0.95,
    shares: Sequence[float] = (0.02, 0.04, 0.1, 0.2, 0.5),
) -> Lower:
    """Return the best lower bound over several numbers of guesses, paid for by a union bound.

    scores (m,): higher means more likely in. inside (m,) bool: the coins. Of each share of guesses one half says in,
    of the highest scores, one half out, of the lowest.
    """
    m, order = len(scores), scores.argsort()
    found = [Lower(0.0, level, 0, 0)]
    for share in shares:
        half = max(1, round(share * m / 2))
        if 2 * half > m:
            continue
        right = int((~inside[order[:half]]).sum() + inside[order[-half:]].sum())
        bound = one_run_lower(m, 2 * half, right, delta, 1 - (1 - level) / len(shares))
        found.append(bound._replace(level=level))
    return max(found, key=lambda bound: bound.epsilon)


def profile_refuted(
    canaries: int, guesses: int, right: int, profile: npt.NDArray[np.float64], level: float = 0.95
) -> bool:
    """Tell whether so many right guesses refute a whole privacy profile, rows (ε, δ) that all hold at once.

    Sharper than one pair (ε, δ): Mahloujifar, Melis & Chaudhuri 2024, arXiv:2410.22235, algorithm 3. Were the profile
    true, an event of probability r under one data set has at least max over rows of (r − δ) e^−ε under its neighbour;
    from the claim that `right` guesses or more are rarer than 1 − level follows, guess by guess, a total that exceeds
    what there is.
    """
    if not 0 <= right <= guesses <= canaries:
        raise ValueError(f"{right} right of {guesses} guesses about {canaries} canaries cannot be")
    shrink, deltas = np.exp(-profile[:, 0]), profile[:, 1]
    tail = 1 - level
    held, wrong = tail * right / canaries, tail * (guesses - right) / canaries
    for i in range(right - 1, -1, -1):
        least = max(wrong, float(((held - deltas) * shrink).max()))
        held += i / (guesses - i) * (least - wrong)
        wrong = least
        if held + wrong > guesses / canaries:
            return True
    return False


def largest_refuted(
    scores: torch.Tensor,
    inside: torch.Tensor,
    profile_of: Callable[[float], npt.NDArray[np.float64]],
    noise: float,
    level: float = 0.95,
    shares: Sequence[float] = (0.02, 0.04, 0.1, 0.2, 0.5),
) -> float:
    """Return the least noise multiplier, to 1 %, down to `noise` / 4, with which the plan is refuted; inf for none.

    profile_of: noise multiplier → profile of the plan with it. Every share of guesses is tried, paid by a union bound:
    the run is then no more private than the plan with that noise, if it is a plan of that kind at all.
    """
    m, order = len(scores), scores.argsort()
    seen = []
    for share in shares:
        half = max(1, round(share * m / 2))
        if 2 * half <= m:
            right = int((~inside[order[:half]]).sum() + inside[order[-half:]].sum())
            seen.append((2 * half, right))
    one = 1 - (1 - level) / len(shares)

    def refuted(sigma: float) -> bool:
        profile = profile_of(sigma)
        return any(profile_refuted(m, guesses, right, profile, one) for guesses, right in seen)

    low, high = noise / 4, noise * 64  # more noise is a stronger promise, refuted sooner
    if not refuted(high):
        return math.inf
    while high / low > 1.01:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if refuted(middle) else (middle, high)
    return high


def lower_from_rates(
    hits: int, members: int, alarms: int, others: int, delta: float = 0.0, level: float = 0.95
) -> Lower:
    """Return the lower bound of a test seen on independent runs: log((TPR − δ)/FPR), with both rates' intervals.

    Jagielski et al. 2020, arXiv:2006.07709, §4; both directions of the test count. The runs with the canary (members)
    and without (others) must be independent: canaries of one run are not.
    """
    tail = 1 - (1 - level) / 2  # one bound on each rate
    tpr, fpr = (clopper_pearson(k, n, 2 * tail - 1) for k, n in ((hits, members), (alarms, others)))
    pairs = ((tpr.low - delta, fpr.high), (1 - fpr.high - delta, 1 - tpr.low))
    best = max((math.log(top / bottom) for top, bottom in pairs if top > 0 and bottom > 0), default=0.0)
    right = hits + others - alarms
    return Lower(max(0.0, best), level, members + others, right)


def _largest(refuted: Callable[[float], bool]) -> float:
    if not refuted(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while refuted(high) and high < MOST:
        low, high = high, high * 2
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low


def binomial_p_value(sizes: torch.Tensor, rows: int, rate: float) -> float:
    """Test whether batch sizes (t,) have the mean and the spread of Poisson samples; returns a two-sided p-value.

    Their index of dispersion is nearly chi-squared with t degrees of freedom. Batches of a shuffle, all of one size,
    are refuted by a few dozen steps.
    """
    from scipy.stats import chi2

    if not 0 < rate < 1 or not len(sizes):
        return 1.0
    spread = float(((sizes.double() - rows * rate) ** 2).sum() / (rows * rate * (1 - rate)))
    below = float(chi2.cdf(spread, len(sizes)))
    return min(1.0, 2 * min(below, 1 - below))
