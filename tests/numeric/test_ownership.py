"""p-values of ownership against counting, scipy and the uniform law."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from hauberk.numeric.ownership import combined, matched_by_chance, ranked_higher


def test_matches_by_chance_are_the_binomial_tail() -> None:
    for matches, marks, classes in ((0, 5, 2), (1, 1, 10), (3, 20, 10), (50, 50, 10)):
        tail = sum(
            math.comb(marks, k) * (1 / classes) ** k * (1 - 1 / classes) ** (marks - k)
            for k in range(matches, marks + 1)
        )
        assert matched_by_chance(matches, marks, classes) == pytest.approx(tail, rel=1e-9)


@pytest.mark.parametrize("counts", [(2, 1, 2), (-1, 5, 2), (0, 0, 2), (1, 5, 1)])
def test_impossible_counts_are_refused(counts) -> None:
    with pytest.raises(ValueError, match="no count"):
        matched_by_chance(*counts)


def test_ranks_agree_with_scipy_ties_included() -> None:
    rng = torch.Generator().manual_seed(0)
    for shift in (-0.5, 0.0, 0.7):
        own = (4 * (torch.randn(40, generator=rng) + shift)).round()
        others = (4 * torch.randn(30, generator=rng)).round()
        expected = stats.mannwhitneyu(own, others, alternative="greater", method="asymptotic").pvalue
        assert ranked_higher(own, others) == pytest.approx(float(expected), rel=1e-6)
    assert ranked_higher(torch.ones(9), torch.ones(9)) == 1.0
    with pytest.raises(ValueError, match="too few"):
        ranked_higher(torch.ones(3), torch.ones(9))


def test_fisher_agrees_with_scipy() -> None:
    assert combined([0.03, 0.2, 0.5]) == pytest.approx(float(stats.combine_pvalues([0.03, 0.2, 0.5]).pvalue))
    assert combined([0.04]) == pytest.approx(0.04)
    assert combined([0.0, 1.0]) < 1e-290
    for wrong in ([], [1.2]):
        with pytest.raises(ValueError, match="p-values"):
            combined(wrong)
