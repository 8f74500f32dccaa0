"""The curve of fidelity against queries: fitted from a few small budgets, read off at larger ones, and priced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

GRID = np.geomspace(0.1, 2.0, 96)
"""Exponents tried. Learning curves of networks fall as powers between 0.1 and 2 (Hestness et al. 2017, §2)."""
NOISE = 0.01
"""Standard deviation of a measured fidelity: 1,000 held-out samples, and copies that differ by their seeds."""
CEILING, WIDTH = 1.0, 0.1
"""Where the ceiling a lies before anything was seen. Three noisy points alone would put it right above the last one."""
EXPONENT, SPREAD = 0.5, 0.25
"""Where the exponent k lies before anything was seen: the law of a parametric fit, and what was measured on digits."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Fidelity a − c · b^−k after b queries, 0 ≤ a ≤ 1, c ≥ 0."""

    a: float
    c: float
    k: float

    def at(self, queries: float) -> float:
        """Return the fidelity foreseen after so many queries, 0–1."""
        return min(1.0, max(0.0, self.a - self.c * math.pow(queries, -self.k)))

    def queries_for(self, fidelity: float) -> float:
        """Return the queries that fidelity costs; infinite where the curve never gets there."""
        short = self.a - fidelity
        if self.c == 0:
            return 1.0 if short >= 0 else math.inf
        if short <= 0:
            return math.inf
        return max(1.0, math.exp(min(700.0, math.log(self.c / short) / self.k)))


def fit(queries: Sequence[float], fidelity: Sequence[float]) -> Curve:
    """Fit a − c · b^−k to at least three points by penalised least squares, a kept in [0, 1] and c at 0 or more.

    For every k of a grid a and c are linear. Raises ValueError for fewer than three different budgets.
    """
    if len(set(queries)) < 3 or len(queries) != len(fidelity) or min(queries) < 1:
        raise ValueError("a curve of three unknowns needs three different budgets, each of a query or more")
    b, f = np.asarray(queries, dtype=np.float64), np.asarray(fidelity, dtype=np.float64)
    return min((_with(float(k), b, f) for k in GRID), key=lambda pair: pair[0])[1]


def _with(k: float, b: Floats, f: Floats) -> tuple[float, Curve]:
    """Fit a and c with k given → penalty and the curve; inside, c is a share: the loss at the geometric mean of b."""
    scale = math.exp(float(np.log(b).mean()))
    fall = (b / scale) ** -k
    shape = np.vstack((np.stack((np.ones_like(fall), -fall), 1) / NOISE, [1 / WIDTH, 0.0]))
    goal = np.append(f / NOISE, CEILING / WIDTH)
    (a, c), *_ = np.linalg.lstsq(shape, goal, rcond=None)
    if a > 1:
        a, c = 1.0, float((fall * (1.0 - f)).sum() / (fall * fall).sum())
    if c < 0:
        a, c = float(f.mean()), 0.0
    penalty = float(((shape @ np.array([a, c]) - goal) ** 2).sum()) + ((k - EXPONENT) / SPREAD) ** 2
    return penalty, Curve(max(0.0, float(a)), float(c) * math.pow(scale, k), k)
