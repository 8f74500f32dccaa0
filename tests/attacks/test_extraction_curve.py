"""The curve of a theft: exact on its own law, and never above what a share can be."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hauberk.attacks.extraction_curve import Curve, fit


@settings(deadline=None, max_examples=60)
@given(st.floats(0.9, 1.0), st.floats(0.5, 3.0), st.floats(0.3, 1.0))
def test_three_small_budgets_foresee_the_law_they_follow(a: float, c: float, k: float) -> None:
    law = Curve(a, c, k)
    budgets = [b for b in (50, 100, 200, 400, 800) if a - c * b**-k > 0][:3]
    if len(budgets) == 3:
        found = fit(budgets, [law.at(b) for b in budgets])
        assert found.at(3 * budgets[-1]) == pytest.approx(law.at(3 * budgets[-1]), abs=0.02)


@pytest.mark.parametrize(
    ("budgets", "seen", "large"),
    [
        ((100, 250, 500), (0.778, 0.868, 0.900), {1000: 0.938, 1500: 0.952}),
        ((100, 250, 500), (0.773, 0.867, 0.900), {1000: 0.942, 1500: 0.950}),
        ((100, 250, 500), (0.754, 0.856, 0.886), {1000: 0.912, 1500: 0.929}),
    ],
)
def test_measured_thefts_are_foreseen_within_two_points(budgets, seen, large) -> None:
    """Fidelities of copies of a network on 5,000 digits, measured before this fit was written."""
    curve = fit(budgets, seen)
    assert all(abs(curve.at(b) - fidelity) < 0.02 for b, fidelity in large.items())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=6))
def test_any_points_give_a_share_that_does_not_fall(seen: list[float]) -> None:
    curve = fit([10 * 2**index for index in range(len(seen))], seen)
    shares = [curve.at(b) for b in (1, 10, 100, 1e4, 1e8)]
    assert all(0 <= share <= 1 for share in shares)
    assert shares == sorted(shares)


def test_the_queries_of_a_fidelity_are_the_inverse() -> None:
    curve = Curve(0.98, 2.0, 0.5)
    assert curve.at(curve.queries_for(0.95)) == pytest.approx(0.95)
    assert curve.queries_for(0.99) == math.inf
    assert Curve(0.9, 0.0, 1.0).queries_for(0.9) == 1


def test_two_budgets_are_no_curve() -> None:
    with pytest.raises(ValueError, match="three different budgets"):
        fit([100, 100, 200], [0.5, 0.6, 0.7])
