"""How two versions of a data set differ: a test a column, sizes of the change, and false discoveries held down."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import polars as pl

from hauberk.scanning.tables.facts import Shift

if TYPE_CHECKING:
    from hauberk.core.protocols import Floats

_BINS = 10
_FLOOR = 1e-4
_STEPS, _FOLDS = 50, 2


class _Sizes(NamedTuple):
    psi: float
    js: float


def ks(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Compare numbers a (m,), b (n,): Kolmogorov-Smirnov's statistic and its asymptotic p (Stephens 1970)."""
    a, b = np.sort(a), np.sort(b)
    everything = np.concatenate((a, b))
    gap = np.abs(np.searchsorted(a, everything, "right") / len(a) - np.searchsorted(b, everything, "right") / len(b))
    statistic = float(gap.max())
    root = math.sqrt(len(a) * len(b) / (len(a) + len(b)))
    scaled = (root + 0.12 + 0.11 / root) * statistic
    terms = (2 * (-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return statistic, 1.0 if scaled < 0.2 else min(1.0, max(0.0, sum(terms)))


def chi2(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Compare counts a (k,), b (k,) of categories: Cramér's V and the p of χ² of independence."""
    table = np.stack((a, b))[:, (a + b) > 0].astype(np.float64)
    if table.shape[1] < 2 or not table.sum(1).all():
        return 0.0, 1.0
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return math.sqrt(statistic / table.sum()), _chi2_tail(statistic, table.shape[1] - 1)


def _chi2_tail(statistic: float, degrees: int) -> float:
    """Return the upper tail of χ²: Wilson and Hilferty's cube root for many degrees, else the exact sum."""
    if degrees > 100:
        z = ((statistic / degrees) ** (1 / 3) - (1 - 2 / (9 * degrees))) / math.sqrt(2 / (9 * degrees))
        return 0.5 * math.erfc(z / math.sqrt(2))
    half = statistic / 2
    if half > 700:
        return 0.0
    if degrees % 2 == 0:
        term = total = math.exp(-half)
        for k in range(1, degrees // 2):
            term *= half / k
            total += term
        return min(1.0, total)
    total = math.erfc(math.sqrt(half))
    term = math.exp(-half) * math.sqrt(half) / math.gamma(1.5)
    for k in range(1, (degrees + 1) // 2):
        total += term
        term *= half / (k + 0.5)
    return min(1.0, total)


def psi(p: np.ndarray, q: np.ndarray) -> float:
    """Return the population stability index Σ (q − p) ln(q / p) of shares p, q (k,); empty cells count as 0.0001."""
    p, q = np.maximum(p, _FLOOR), np.maximum(q, _FLOOR)
    return float(((q - p) * np.log(q / p)).sum())


def js(p: np.ndarray, q: np.ndarray) -> float:
    """Return the Jensen-Shannon distance of shares p, q (k,): the root of the divergence to base 2, in [0, 1]."""
    middle = (p + q) / 2

    def divergence(r: np.ndarray) -> float:
        there = r > 0
        return float((r[there] * np.log2(r[there] / middle[there])).sum())

    return math.sqrt(max(0.0, (divergence(p) + divergence(q)) / 2))


def wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Wasserstein-1 distance of numbers a (m,), b (n,): the area between their distribution functions."""
    a, b = np.sort(a), np.sort(b)
    everything = np.sort(np.concatenate((a, b)))
    widths = np.diff(everything)
    gap = np.searchsorted(a, everything[:-1], "right") / len(a) - np.searchsorted(b, everything[:-1], "right") / len(b)
    return float((np.abs(gap) * widths).sum())


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Adjust p-values (m,) so that a bar on them bounds the share of false discoveries (Benjamini & Hochberg 1995)."""
    m = len(p)
    order = np.argsort(p)
    raised = p[order] * m / np.arange(1, m + 1)
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1)
    return adjusted


def shifts(before: pl.DataFrame, now: pl.DataFrame) -> tuple[Shift, ...]:
    """Compare the columns two samples share, q adjusted over all of them."""
    found = [
        shift for name in before.columns if name in now.columns if (shift := _column(name, before[name], now[name]))
    ]
    if not found:
        return ()
    q = benjamini_hochberg(np.array([shift.p for shift in found]))
    return tuple(msgspec.structs.replace(shift, q=float(value)) for shift, value in zip(found, q, strict=True))


def _column(name: str, before: pl.Series, now: pl.Series) -> Shift | None:
    if before.dtype.is_numeric() and now.dtype.is_numeric():
        a, b = (s.cast(pl.Float64).drop_nulls().drop_nans().to_numpy() for s in (before, now))
        a, b = a[np.isfinite(a)], b[np.isfinite(b)]
        if min(len(a), len(b)) < 20:
            return None
        if len(np.unique(a)) > 2 * _BINS:
            return _numbers(name, a, b)
    return _categories(name, before, now)


def _numbers(name: str, a: np.ndarray, b: np.ndarray) -> Shift:
    statistic, p = ks(a, b)
    edges = np.unique(np.quantile(a, np.linspace(0, 1, _BINS + 1)[1:-1]))
    shares = [
        np.bincount(np.searchsorted(edges, part, "right"), minlength=len(edges) + 1) / len(part) for part in (a, b)
    ]
    spread = float(a.std()) or 1.0
    return Shift(
        column=name,
        test="ks",
        statistic=statistic,
        p=p,
        q=p,
        psi=psi(*shares),
        js=js(*shares),
        wasserstein=wasserstein(a, b) / spread,
        before=len(a),
        now=len(b),
    )


def _categories(name: str, before: pl.Series, now: pl.Series) -> Shift | None:
    texts = [series.cast(pl.String, strict=False).drop_nulls() for series in (before, now)]
    values = sorted(set(texts[0].unique().to_list()) | set(texts[1].unique().to_list()))
    if min(len(texts[0]), len(texts[1])) < 20 or len(values) > 1000 or len(values) > 0.5 * len(texts[0]):
        return None
    place = {value: index for index, value in enumerate(values)}
    counts = []
    for series in texts:
        table = dict(series.value_counts(name="\0rows").rows())
        counts.append(np.array([table.get(value, 0) for value in place], dtype=np.float64))
    statistic, p = chi2(counts[0], counts[1])
    shares = [count / count.sum() for count in counts]
    return Shift(
        column=name,
        test="chi2",
        statistic=statistic,
        p=p,
        q=p,
        psi=psi(*shares),
        js=js(*shares),
        before=len(texts[0]),
        now=len(texts[1]),
    )


def told_apart(a: Floats, b: Floats, rng: np.random.Generator) -> Shift:
    """Compare all columns at once: can a logistic regression tell rows a (m, d) from b (n, d), held out?

    statistic: the area under the ROC curve, two folds pooled. p: that of the Mann-Whitney test against 0.5
    (classifier two-sample test, Lopez-Paz & Oquab 2017).
    """
    x = np.concatenate((a, b)).astype(np.float64)
    x = (x - x.mean(0)) / np.maximum(x.std(0), 1e-9)
    y = np.concatenate((np.zeros(len(a)), np.ones(len(b))))
    fold = rng.permutation(len(x)) % _FOLDS
    score = np.zeros(len(x))
    for out in range(_FOLDS):
        weights = _logistic(x[fold != out], y[fold != out])
        answers = x[fold == out] @ weights[:-1] + weights[-1]
        score[fold == out] = answers.argsort().argsort() / max(len(answers), 1)
    ranks = _ranks(score)
    m, n = len(a), len(b)
    area = float((ranks[m:].sum() - n * (n + 1) / 2) / (m * n))
    z = (area - 0.5) / math.sqrt((m + n + 1) / (12 * m * n))
    p = 0.5 * math.erfc(z / math.sqrt(2))
    return Shift(column="", test="classifier", statistic=area, p=p, q=p, before=m, now=n)


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse])


def _logistic(x: np.ndarray, y: np.ndarray, ridge: float = 1.0) -> np.ndarray:
    """Fit weights (d + 1,) by Newton's steps, a ridge on all but the constant."""
    design = np.concatenate((x, np.ones((len(x), 1))), axis=1)
    hold = np.diag([ridge] * x.shape[1] + [1e-6])
    weights = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (y - p) - hold @ weights
        step = np.linalg.solve((design.T * (p * (1 - p))) @ design + hold, gradient)
        weights += step
        if np.abs(step).max() < 1e-6:
            break
    return weights
