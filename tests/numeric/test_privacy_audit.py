"""Audit maths: closed forms where they exist, and bounds that hold when the promise does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hauberk.core.privacy_events import GaussianRelease
from hauberk.numeric.accounting import epsilon, profile
from hauberk.numeric.privacy_audit import (
    best_one_run,
    binomial_p_value,
    largest_refuted,
    lower_from_rates,
    one_run_lower,
    one_run_p_value,
    profile_refuted,
)


def test_all_guesses_right_has_a_closed_form() -> None:
    """r right of r refute ε when (e^ε / (1 + e^ε))^r < p: at most log(q / (1 − q)) with q = p^(1/r)."""
    for r in (10, 100, 1000):
        q = 0.05 ** (1 / r)
        assert one_run_lower(r, r, r, 0.0).epsilon == pytest.approx(math.log(q / (1 - q)), abs=1e-6)


def test_guessing_shows_nothing_and_delta_only_weakens() -> None:
    assert one_run_lower(1000, 1000, 500, 0.0).epsilon == 0
    assert one_run_p_value(100, 50, 0, 1.0, 1e-5) == 1
    exact = one_run_lower(1000, 100, 95, 0.0).epsilon
    assert 0 < one_run_lower(1000, 100, 95, 1e-4).epsilon < exact
    with pytest.raises(ValueError, match="cannot be"):
        one_run_p_value(10, 11, 5, 1.0, 0.0)


def test_randomised_response_is_never_refuted_too_often() -> None:
    """Answers right with e^ε / (1 + e^ε) are exactly (ε, 0)-private: 95 % bounds may fail in 5 % of trials."""
    epsilon, rng, wrong = 1.0, np.random.default_rng(0), 0
    share = math.exp(epsilon) / (1 + math.exp(epsilon))
    for _ in range(200):
        inside = torch.from_numpy(rng.random(400) < 0.5)
        told = torch.where(torch.from_numpy(rng.random(400) < share), inside, ~inside)
        scores = told.double() + torch.from_numpy(rng.random(400)) * 1e-3
        wrong += best_one_run(scores, inside, 0.0).epsilon > epsilon
    assert wrong <= 15


def test_perfect_scores_are_seen() -> None:
    inside = torch.arange(1000) % 2 == 0
    found = best_one_run(inside.double(), inside, 1e-6)
    assert found.epsilon > 4 and found.right == found.guesses


def _profile(noise: float) -> np.ndarray:
    return np.array(profile((GaussianRelease(noise=noise),), 1e-6))


def test_a_true_profile_is_not_refuted_and_a_false_one_is() -> None:
    """Canaries told with N(1, 1) against N(0, 1): the profile of that is true, that of twice the noise is not."""
    pytest.importorskip("dp_accounting")
    wrong, true, false = 0, _profile(1.0), _profile(2.0)
    for seed in range(40):
        rng = torch.Generator().manual_seed(seed)
        inside = torch.rand(2000, generator=rng) < 0.5
        order = (torch.randn(2000, generator=rng) + inside).argsort()
        right = int((~inside[order[:100]]).sum() + inside[order[-100:]].sum())
        wrong += profile_refuted(2000, 200, right, true)
        assert profile_refuted(2000, 200, right, false)
    assert wrong <= 4


def test_the_noise_found_is_close_to_the_truth_and_sharper_than_one_pair() -> None:
    pytest.importorskip("dp_accounting")
    n, shift = 5000, 2.0
    quantiles = torch.special.ndtri((torch.arange(n).double() + 0.5) / n)
    scores, inside = torch.cat((quantiles + shift, quantiles)), torch.arange(2 * n) < n
    found = largest_refuted(scores, inside, _profile, 1 / shift)
    assert 1 / shift < found < 2 / shift
    sharper = epsilon((GaussianRelease(noise=found),), 1e-6).epsilon
    assert best_one_run(scores, inside, 1e-6).epsilon < sharper < epsilon((GaussianRelease(noise=0.5),), 1e-6).epsilon
    coins = torch.rand(1000, generator=torch.Generator().manual_seed(0))
    assert largest_refuted(coins, torch.arange(1000) % 2 == 0, _profile, 1.0) > 10


def test_rates_of_independent_runs() -> None:
    """Clopper–Pearson on both rates; a test that never errs in 1000 runs shows about log(1000 / 3.7)."""
    best = lower_from_rates(1000, 1000, 0, 1000)
    assert 5.4 < best.epsilon < 5.8
    assert lower_from_rates(50, 100, 50, 100).epsilon == 0
    # the other direction: few alarms among members count too
    assert lower_from_rates(1000, 1000, 500, 1000).epsilon == pytest.approx(
        lower_from_rates(500, 1000, 0, 1000).epsilon
    )


def test_batch_sizes_of_a_shuffle_are_not_those_of_poisson_samples() -> None:
    rng = np.random.default_rng(1)
    poisson = torch.from_numpy(rng.binomial(1000, 0.05, 100))
    assert binomial_p_value(poisson, 1000, 0.05) > 1e-3
    assert binomial_p_value(torch.full((100,), 50), 1000, 0.05) < 1e-12
    assert binomial_p_value(torch.full((100,), 80), 1000, 0.05) < 1e-12
    assert binomial_p_value(torch.tensor([]), 1000, 0.05) == 1
