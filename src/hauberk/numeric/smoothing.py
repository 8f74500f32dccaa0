"""Randomized smoothing: from counted answers under Gaussian noise to a radius, and a test that stops when it knows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, TypeAlias

from hauberk.numeric.intervals import clopper_pearson

Verdict: TypeAlias = Literal["proven", "not", "open"]

_NORMAL = NormalDist()


def radius_of(hits: int, draws: int, sigma: float, error: float = 0.001) -> float:
    """Return an l2 radius within which the smoothed classifier keeps the class seen `hits` times in `draws`; or 0.

    sigma: of the noise, in input units. The number of draws was fixed beforehand, and the class chosen by other draws.
    Wrong with probability `error` at most: one-sided Clopper–Pearson bounds p of the class, and σ Φ⁻¹(p) is safe.
    Source: Cohen et al. 2019, arXiv:1902.02918, theorem 1 and CERTIFY.
    """
    least = clopper_pearson(hits, draws, 1 - 2 * error).low
    return sigma * _NORMAL.inv_cdf(least) if least > 0.5 else 0.0


def needed(radius: float, sigma: float) -> float:
    """Return the probability a class must exceed for the radius to be safe: Φ(r / σ). Raises ValueError."""
    if radius < 0 or sigma <= 0:
        raise ValueError(f"radius {radius:g} and sigma {sigma:g}: one is negative or no noise is there")
    return _NORMAL.cdf(radius / sigma)


@dataclass(frozen=True, slots=True)
class Question:
    """Is a class's probability above `least`? Asked of draws one after the other; one may look after every one.

    error: probability of a wrong "proven", whenever one stops. doubt: of a wrong "not", which costs no soundness.
    """

    least: float
    error: float = 0.001
    doubt: float = 0.001

    def answer(self, hits: int, draws: int) -> Verdict:
        """Decide by what `draws` gave so far.

        Evidence is the mean likelihood ratio of probabilities on one side of `least` to `least` itself. If the truth
        lies on the other side, or at it, each ratio is a supermartingale that starts at 1, so by Ville's inequality
        their mean ever exceeds 1 / error with probability `error` at most. Source: Robbins 1970, §3; Ville 1939.
        """
        if evidence(hits, draws, self.least) >= -math.log(self.error):
            return "proven"
        if evidence(draws - hits, draws, 1 - self.least) >= -math.log(self.doubt):
            return "not"
        return "open"


def evidence(hits: int, draws: int, least: float) -> float:
    """Return the log of the mean of L(p) / L(least) over p in (least, 1], weighed by Beta(1/2, 1/2) cut there.

    −∞ where it is too small for a float. least: 0 < least < 1.
    """
    from scipy.special import betaincc, betaln  # takes 0.1 s to import

    if not 0 < least < 1:
        raise ValueError(f"a probability of {least:g} cannot be exceeded or cannot be missed")
    a, b = hits + 0.5, draws - hits + 0.5
    above, before = float(betaincc(a, b, least)), float(betaincc(0.5, 0.5, least))
    if above <= 0 or before <= 0:
        return -math.inf
    mixture = math.log(above) + float(betaln(a, b)) - math.log(before) - float(betaln(0.5, 0.5))
    return mixture - hits * math.log(least) - (draws - hits) * math.log1p(-least)
