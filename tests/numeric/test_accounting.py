"""Accounting against published figures, closed forms and dp-accounting's own default grid."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest

from hauberk.core.errors import UsageError
from hauberk.core.privacy_events import (
    BoundedRelease,
    GaussianRelease,
    LaplaceRelease,
    RepeatedSelection,
    SampledRelease,
)
from hauberk.numeric.accounting import epsilon, grouped, guessing
from hauberk.numeric.calibration import most_steps, noise_for

pytest.importorskip("dp_accounting")
PHI = NormalDist().cdf

# rate, noise, steps, δ → ε by dp-accounting's PLD at grid 1e-4 and by its RDP
SETTINGS = [
    (256 / 60000, 1.1, 14062, 1e-5, 2.382, 2.597),
    (0.02, 1.0, 5000, 1e-5, 9.402, 10.186),
    (1e-3, 0.6, 1000, 1e-6, 2.107, 3.141),
    (256 / 60000, 1.1, 100_000, 1e-5, 7.271, 7.835),
]


@pytest.mark.parametrize(("rate", "noise", "steps", "delta", "tight", "renyi"), SETTINGS)
def test_figures_of_the_settings_others_are_measured_on(rate, noise, steps, delta, tight, renyi) -> None:
    events = (SampledRelease(rate=rate, noise=noise, count=steps),)
    found = epsilon(events, delta)
    assert tight * 0.9995 <= found.epsilon <= tight * 1.005
    assert epsilon(events, delta, method="rdp").epsilon == pytest.approx(renyi, abs=2e-3)


@pytest.mark.parametrize(
    ("rate", "noise", "steps"), [(0.1, 8.0, 100), (0.01, 20.0, 50), (1.0, 4.0, 30), (0.05, 2.0, 200)]
)
def test_the_grid_it_chooses_costs_less_than_half_a_percent(rate, noise, steps) -> None:
    events = (SampledRelease(rate=rate, noise=noise, count=steps),)
    fine = epsilon(events, 1e-6, grid=1e-4).epsilon
    assert epsilon(events, 1e-6).epsilon <= 1.005 * fine


def test_one_gaussian_release_has_its_closed_form() -> None:
    """Balle & Wang 2018, theorem 8: δ(ε) = Φ(Δ/2σ − εσ/Δ) − e^ε Φ(−Δ/2σ − εσ/Δ)."""
    sigma = 1.3
    found = epsilon((GaussianRelease(noise=sigma),), 1e-5).epsilon
    delta = PHI(1 / (2 * sigma) - found * sigma) - math.exp(found) * PHI(-1 / (2 * sigma) - found * sigma)
    assert 0.98e-5 < delta <= 1e-5 * (1 + 1e-9)


def test_sums_of_rows_of_another_person_move_twice_as_far() -> None:
    one = epsilon((GaussianRelease(noise=4.0),), 1e-5, relation="replace").epsilon
    assert one == pytest.approx(epsilon((GaussianRelease(noise=2.0),), 1e-5).epsilon, rel=1e-3)


def test_pure_releases_add_up() -> None:
    three = (LaplaceRelease(noise=2.0, count=2), BoundedRelease(epsilon=0.5))
    assert 1.49 < epsilon(three, 1e-9).epsilon <= 1.5 + 1e-9


def test_people_with_several_rows_are_protected_less_and_never_less_than_stated() -> None:
    events = (SampledRelease(rate=0.01, noise=1.0, count=50),)
    bounds = [epsilon(events, 1e-5, group=group).epsilon for group in (1, 2, 4)]
    assert bounds[0] < bounds[1] < bounds[2]
    alone, delta = grouped(bounds[0], 1e-9, 2)
    assert bounds[1] < alone * 1.2 or delta > 0
    # all rows of a unit in every sample: as one Gaussian release of twice the sensitivity
    whole = epsilon((SampledRelease(rate=1.0, noise=4.0, count=10),), 1e-5, group=2).epsilon
    assert whole == pytest.approx(epsilon((GaussianRelease(noise=2.0, count=10),), 1e-5).epsilon, rel=5e-3)


@pytest.mark.parametrize("method", ["gdp", "clt", "optimistic"])
def test_what_is_no_bound_is_refused(method) -> None:
    with pytest.raises(UsageError, match="no bound"):
        epsilon((GaussianRelease(noise=1.0),), 1e-5, method=method)


def test_no_noise_no_promise_and_nothing_released_costs_nothing() -> None:
    assert epsilon((SampledRelease(rate=0.1, noise=0.0, count=3),), 1e-5).epsilon == math.inf
    assert epsilon((GaussianRelease(noise=1.0, count=0),), 1e-5).epsilon == 0
    assert epsilon((), 1e-5).epsilon == 0


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-5])
def test_delta_is_a_probability(delta) -> None:
    with pytest.raises(UsageError, match="delta"):
        epsilon((GaussianRelease(noise=1.0),), delta)


def test_units_have_few_rows() -> None:
    with pytest.raises(UsageError, match="unit"):
        epsilon((GaussianRelease(noise=1.0),), 1e-5, group=1000)


def test_a_search_costs_more_than_its_best_run() -> None:
    run = (GaussianRelease(noise=4.0),)
    search = epsilon((RepeatedSelection(runs=run, mean=10.0),), 1e-5)
    assert search.method == "rdp"
    assert search.epsilon > epsilon(run, 1e-5, method="rdp").epsilon


def test_membership_bounds_of_a_gaussian_are_its_own() -> None:
    found = guessing((GaussianRelease(noise=1.0),), 1e-5)
    assert found.advantage == pytest.approx(2 * PHI(0.5) - 1, abs=2e-3)
    assert found.rates[0.01] == pytest.approx(PHI(NormalDist().inv_cdf(0.01) + 1), abs=2e-3)
    assert guessing((), 1e-5).certainty == 0.5


def test_calibrated_noise_keeps_the_promise_and_wastes_nothing() -> None:
    def events(noise: float) -> tuple[SampledRelease, ...]:
        return (SampledRelease(rate=0.01, noise=noise, count=1000),)

    for target in (0.5, 3.0, 20.0):
        noise = noise_for(events, target, 1e-5)
        assert 0.995 * target <= epsilon(events(noise), 1e-5).epsilon <= target


def test_noise_that_no_budget_allows() -> None:
    before = (GaussianRelease(noise=0.5),)
    with pytest.raises(UsageError, match="no noise"):
        noise_for(lambda noise: (*before, GaussianRelease(noise=noise)), 1.0, 1e-5)
    with pytest.raises(UsageError, match="above 0"):
        noise_for(lambda noise: (GaussianRelease(noise=noise),), 0.0, 1e-5)


def test_steps_end_where_the_budget_does() -> None:
    def events(steps: int) -> tuple[SampledRelease, ...]:
        return (SampledRelease(rate=0.05, noise=1.0, count=steps),)

    most = most_steps(events, 1000, 3.0, 1e-5)
    assert epsilon(events(most), 1e-5).epsilon <= 3.0 < epsilon(events(most + 1), 1e-5).epsilon
    assert most_steps(events, 3, 3.0, 1e-5) == 3
    assert most_steps(lambda steps: (GaussianRelease(noise=0.1), *events(steps)), 10, 3.0, 1e-5) == 0
