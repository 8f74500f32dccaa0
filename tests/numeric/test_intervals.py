from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binomtest

from hauberk.numeric.intervals import Interval, beta_mixture, bootstrap_median, clopper_pearson, focused_mixture, wilson

COUNTS = st.integers(0, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS, st.sampled_from([0.8, 0.95, 0.999]))
def test_agrees_with_scipy(counts, level):
    k, n = counts
    if n == 0:
        return
    test = binomtest(k, n)
    for ours, method in ((clopper_pearson(k, n, level), "exact"), (wilson(k, n, level), "wilson")):
        theirs = test.proportion_ci(level, method)
        assert ours.low == pytest.approx(theirs.low, abs=1e-9)
        assert ours.high == pytest.approx(theirs.high, abs=1e-9)


def test_published_values():
    # Newcombe 1998, Statistics in Medicine 17, table I: 81 / 263, 15 / 148, 0 / 20, 1 / 29.
    for k, n, exact, score in (
        (81, 263, (0.2527, 0.3676), (0.2553, 0.3662)),
        (15, 148, (0.0578, 0.1617), (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1684), (0.0, 0.1611)),
        (1, 29, (0.0009, 0.1776), (0.0061, 0.1718)),
    ):
        assert clopper_pearson(k, n)[1:] == pytest.approx(exact, abs=6e-5)
        assert wilson(k, n)[1:] == pytest.approx(score, abs=6e-5)


@given(COUNTS)
def test_the_sequence_is_wider_and_holds_the_value(counts):
    k, n = counts
    ours = beta_mixture(k, n)
    assert 0 <= ours.low <= ours.value <= ours.high <= 1
    if n:
        fixed = clopper_pearson(k, n)
        assert ours.half_width > fixed.half_width * 0.99
        mirrored = beta_mixture(n - k, n)
        assert mirrored.low == pytest.approx(1 - ours.high, abs=1e-9)


def test_the_sequence_solves_its_equation():
    k, n = 37, 50
    for p in beta_mixture(k, n)[1:]:
        mixture = beta.pdf(0.3, k + 0.5, n - k + 0.5)  # mixture by Bayes' rule at any point, here 0.3
        evidence = beta.pdf(0.3, 0.5, 0.5) * 0.3**k * 0.7 ** (n - k) / mixture
        assert evidence / (p**k * (1 - p) ** (n - k)) == pytest.approx(20, rel=1e-6)


@pytest.mark.parametrize("p", [0.02, 0.3, 0.5, 0.9])
def test_coverage_under_optional_stopping(p):
    """One peeks after every trial and stops at the first interval that misses: the sequence survives, others do not."""
    runs, n = 400, 300
    seen = (np.random.default_rng(7).random((runs, n)) < p).cumsum(1)
    bounds = {name: {} for name in ("sequence", "fixed")}

    def missed(kind, interval):
        count = 0
        for row in seen:
            for i, k in enumerate(row[4::5]):
                key = (int(k), 5 * i + 5)
                if key not in bounds[kind]:
                    bounds[kind][key] = interval(*key)
                if not bounds[kind][key].low <= p <= bounds[kind][key].high:
                    count += 1
                    break
        return count / runs

    assert missed("sequence", beta_mixture) <= 0.05
    assert missed("fixed", clopper_pearson) > 0.1, "peeking breaks a fixed-sample interval: the test can fail"


@pytest.mark.parametrize("p", [0.1, 0.6, 0.9])
def test_each_end_of_the_focused_sequence_survives_optional_stopping(p):
    runs, n = 400, 240
    seen = (np.random.default_rng(11).random((runs, n)) < p).cumsum(1)
    bounds = {}
    missed = [0, 0]
    for row in seen:
        passed = set()
        for i in range(7, n, 8):
            key = (int(row[i]), i + 1)
            bounds.setdefault(key, focused_mixture(*key))
            passed |= {0} if bounds[key].low > p else {1} if bounds[key].high < p else set()
        for side in passed:
            missed[side] += 1
    assert max(missed) / runs <= 0.05
    assert min(bounds[key].half_width for key in bounds) < 0.2


def test_the_focused_sequence_leaves_a_bound_ten_points_away_earlier():
    assert focused_mixture(100, 200).high < 0.6 < beta_mixture(100, 200).high


def test_coverage_at_a_fixed_size():
    for n, p in ((30, 0.1), (200, 0.5), (100, 0.97)):
        k = np.arange(n + 1)
        weight = np.array([math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in k])
        held = np.array([clopper_pearson(int(i), n).low <= p <= clopper_pearson(int(i), n).high for i in k])
        assert weight[held].sum() >= 0.95


def test_nothing_measured_and_nonsense():
    for interval in (clopper_pearson, wilson, beta_mixture, focused_mixture):
        assert interval(0, 0)[1:] == (0.0, 1.0)
        for k, n, level in ((3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0), (1, 2, 0.0)):
            with pytest.raises(ValueError, match=r"share|level"):
                interval(k, n, level)


def test_the_median_of_a_resample():
    rng = torch.Generator().manual_seed(0)
    values = torch.randn(400, generator=rng) + 3
    found = bootstrap_median(values, rng)
    assert found.low < 3 < found.high
    # The median's standard error is 1.2533 σ / √n.
    assert found.half_width == pytest.approx(1.96 * 1.2533 / 20, rel=0.35)
    unbroken = torch.cat((torch.ones(3), torch.full((7,), math.inf)))
    assert bootstrap_median(unbroken, rng).value == math.inf
    with pytest.raises(ValueError, match="row"):
        bootstrap_median(torch.zeros(0), rng)


def test_an_interval_knows_its_half_width():
    assert Interval(0.5, 0.4, 0.8).half_width == pytest.approx(0.2)
