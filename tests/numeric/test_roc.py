"""Curve, area and low-rate true positives against closed forms, brute force and simulation."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hauberk.numeric.difference import difference
from hauberk.numeric.intervals import Interval, wilson
from hauberk.numeric.roc import advantage, area, curve, true_positives
from hauberk.numeric.two_sample import separability

scores = st.lists(st.integers(-3, 3), min_size=1, max_size=12).map(lambda values: torch.tensor(values).double())


def draw(seed: int, n: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


@settings(deadline=None)
@given(scores, scores)
def test_area_counts_pairs_and_halves_ties(positive: torch.Tensor, negative: torch.Tensor) -> None:
    gap = positive[:, None] - negative
    assert area(positive, negative).value == pytest.approx(
        float((gap > 0).double().mean() + (gap == 0).double().mean() / 2)
    )


@settings(deadline=None)
@given(scores, scores)
def test_area_is_the_integral_of_the_curve_and_mirrors(positive: torch.Tensor, negative: torch.Tensor) -> None:
    line = curve(positive, negative)
    found = area(positive, negative)
    assert float(torch.trapezoid(line.tpr, line.fpr)) == pytest.approx(found.value)
    swapped = area(negative, positive)
    assert swapped.value == pytest.approx(1 - found.value)
    assert swapped.low == pytest.approx(1 - found.high)
    assert 0 <= found.low <= found.value <= found.high <= 1


@settings(deadline=None)
@given(scores, scores)
def test_each_point_of_the_curve_is_what_its_threshold_gives(positive: torch.Tensor, negative: torch.Tensor) -> None:
    line = curve(positive, negative)
    assert (line.fpr[0], line.tpr[0], line.fpr[-1], line.tpr[-1]) == (0, 0, 1, 1)
    for fpr, tpr, threshold in zip(*line, strict=True):
        assert float(fpr) == pytest.approx(float((negative > threshold).double().mean()))
        assert float(tpr) == pytest.approx(float((positive > threshold).double().mean()))


def test_delong_variance_equals_the_textbook_sum() -> None:
    positive, negative = draw(1, 40, 0.7), draw(2, 60)
    wins = (positive[:, None] > negative).double()
    variance = wins.mean(1).var() / 40 + wins.mean(0).var() / 60
    found = area(positive, negative)
    logit = [math.log(value / (1 - value)) for value in (found.low, found.value, found.high)]
    reach = 1.959964 * math.sqrt(float(variance)) / (found.value * (1 - found.value))
    assert logit[2] - logit[1] == pytest.approx(reach, rel=1e-5)
    assert logit[1] - logit[0] == pytest.approx(reach, rel=1e-5)


@pytest.mark.parametrize("shift", [0.0, 0.8, 2.0])
def test_area_interval_covers_the_binormal_truth(shift: float) -> None:
    truth = 0.5 * (1 + math.erf(shift / 2))  # Φ(d / √2)
    covered = 0
    for seed in range(400):
        found = area(draw(2 * seed, 50, shift), draw(2 * seed + 1, 70))
        covered += found.low <= truth <= found.high
    assert 0.92 <= covered / 400 <= 0.985


def test_a_perfect_split_keeps_an_honest_lower_end() -> None:
    found = area(torch.arange(10.0) + 100, torch.arange(20.0))
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / 10))


@pytest.mark.parametrize(("fpr", "n"), [(0.01, 300), (0.01, 1000), (0.1, 100)])
def test_true_positive_interval_covers_the_truth_at_the_unknown_threshold(fpr: float, n: int) -> None:
    z = float(torch.special.ndtri(torch.tensor(1 - fpr, dtype=torch.float64)))
    truth = 0.5 * math.erfc((z - 1) / math.sqrt(2))
    covered, widths = 0, []
    for seed in range(300):
        found = true_positives(draw(2 * seed, n, 1.0), draw(2 * seed + 1, n), fpr).interval
        covered += found.low <= truth <= found.high
        widths.append(found.high - found.low)
    assert covered / 300 >= 0.95
    assert sum(widths) / len(widths) < 0.55


def test_true_positives_never_spends_more_than_allowed_even_with_ties() -> None:
    negative = torch.tensor([1.0] * 50 + [0.0] * 50)
    positive = torch.tensor([1.0] * 90 + [2.0] * 10)
    found = true_positives(positive, negative, 0.1)
    assert found.spent == 0
    assert found.interval.value == pytest.approx(0.1)  # a tie at 1.0 would cost 50 %


def test_true_positives_of_plain_numbers() -> None:
    negative, positive = torch.arange(100.0), torch.tensor([98.5, 97.5, 50.0, 10.0])
    found = true_positives(positive, negative, 0.02)
    assert (found.spent, found.threshold, found.interval.value) == (2, 97.0, 0.5)


def test_too_few_negatives_are_refused() -> None:
    with pytest.raises(ValueError, match="1000 are needed"):
        true_positives(draw(1, 500), draw(2, 999), 0.001)


def test_newcombe_matches_his_published_example() -> None:
    # Newcombe 1998, table II, example (a): 56/70 − 48/80, method 10: 0.0524 to 0.3339.
    positive = (torch.arange(70) < 56).double()
    negative = (torch.arange(80) < 48).double()
    found = advantage(positive, negative, 0.5)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


@settings(deadline=None)
@given(st.integers(0, 20), st.integers(0, 30))
def test_a_difference_turns_with_its_parts(a: int, b: int) -> None:
    first, second = wilson(a, 20, 0.95), wilson(b, 30, 0.95)
    there, back = difference(first, second), difference(second, first)
    assert (there.low, there.value) == pytest.approx((-back.high, -back.value))
    assert -1 - 1e-9 <= there.low <= there.value <= there.high <= 1 + 1e-9


def test_a_difference_from_a_known_number_is_a_shift() -> None:
    found = difference(Interval(0.5, 0.4, 0.7), Interval(0.1, 0.1, 0.1))
    assert (found.low, found.high) == pytest.approx((0.3, 0.6))


@pytest.mark.parametrize("bad", [torch.tensor([]), torch.tensor([1.0, math.nan]), torch.ones(2, 2)])
def test_scores_that_cannot_be_ranked_are_refused(bad: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="scores"):
        area(bad, torch.ones(3))


def test_one_distribution_is_not_told_apart_and_the_test_is_unbiased() -> None:
    found = []
    for seed in range(30):
        rng = torch.Generator().manual_seed(seed)
        found.append(separability(torch.randn(60, 4, generator=rng), torch.randn(60, 4, generator=rng), rng))
    assert sum(item.value for item in found) / 30 == pytest.approx(0.5, abs=0.03)
    assert sum(item.low > 0.55 for item in found) <= 1


def test_a_shift_of_mean_and_a_change_of_scale_are_both_seen() -> None:
    rng = torch.Generator().manual_seed(0)
    first, second = torch.randn(150, 4, generator=rng), torch.randn(150, 4, generator=rng)
    assert separability(first, second + 1, rng).low > 0.7
    assert separability(first, second * 3, rng).low > 0.7  # a linear classifier is blind to this
