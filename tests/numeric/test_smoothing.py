"""Radii of randomized smoothing against the closed form, and a test whose error holds whenever one stops."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import beta, norm

from hauberk.numeric.smoothing import Question, evidence, needed, radius_of


@pytest.mark.parametrize(("hits", "draws"), [(990, 1000), (100, 100), (99_900, 100_000), (600, 1000)])
def test_radius_is_cohens(hits, draws):
    least = beta.ppf(0.001, hits, draws - hits + 1)
    assert radius_of(hits, draws, 0.5) == pytest.approx(0.5 * norm.ppf(least) if least > 0.5 else 0.0, abs=1e-9)


def test_no_radius_where_the_class_may_be_no_majority():
    assert radius_of(50, 100, 0.5) == 0.0
    assert radius_of(0, 10, 0.5) == 0.0
    # All of 100,000 looks at alpha 0.001, as Cohen et al. print it in figure 1: 3.8 sigma.
    assert radius_of(100_000, 100_000, 1.0) == pytest.approx(3.81, abs=0.01)


def test_what_is_needed_is_what_the_radius_inverts():
    assert needed(0.0, 0.5) == 0.5
    assert needed(0.5, 0.5) == pytest.approx(norm.cdf(1.0))
    with pytest.raises(ValueError, match="noise"):
        needed(0.1, 0.0)


def test_evidence_is_the_integral_it_says():
    hits, draws, least = 18, 20, 0.7
    p = torch.linspace(least, 1, 200_001, dtype=torch.float64)[1:-1]
    weight = (p * (1 - p)).pow(-0.5)
    ratio = hits * (p / least).log() + (draws - hits) * ((1 - p) / (1 - least)).log()
    direct = math.log(float((ratio.exp() * weight).sum() / weight.sum()))
    assert evidence(hits, draws, least) == pytest.approx(direct, abs=0.01)
    assert evidence(0, 2000, 0.99) == -math.inf
    with pytest.raises(ValueError, match="exceeded"):
        evidence(1, 2, 1.0)


def stops(p: float, question: Question, most: int, rng: torch.Generator) -> tuple[str, int]:
    hits = draws = 0
    while draws < most:
        part = max(32, draws // 4)
        hits += int((torch.rand(part, generator=rng) < p).sum())
        draws += part
        if (verdict := question.answer(hits, draws)) != "open":
            return verdict, draws
    return "open", draws


def test_error_stays_below_its_bound_at_the_border_and_beyond():
    rng, question = torch.Generator().manual_seed(0), Question(0.8, error=0.1, doubt=0.1)
    wrong = sum(stops(0.8, question, 2000, rng)[0] == "proven" for _ in range(300))
    assert wrong <= 45  # 30 are allowed on average; 45 or more would come up once in 300 times
    assert sum(stops(0.7, question, 2000, rng)[0] == "proven" for _ in range(100)) <= 20


@pytest.mark.parametrize(("p", "most"), [(0.999, 200), (0.95, 600), (0.5, 300)])
def test_clear_cases_are_decided_with_few_looks(p, most):
    """100,000 looks is what a fixed design takes for the same error."""
    rng, question = torch.Generator().manual_seed(1), Question(needed(0.5, 0.5))
    spent = [stops(p, question, 100_000, rng) for _ in range(20)]
    assert {verdict for verdict, _ in spent} == {"proven" if p > 0.85 else "not"}
    assert sum(draws for _, draws in spent) / 20 <= most
