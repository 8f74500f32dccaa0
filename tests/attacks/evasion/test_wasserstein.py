"""Projected Sinkhorn attack: mass and radius are kept, a larger radius breaks more, and known projections come out."""

import pytest
import torch

from hauberk.attacks.evasion.wasserstein import Wasserstein
from hauberk.core.threat import LINF_0_1, Threat
from hauberk.numeric.balls import region
from hauberk.numeric.sinkhorn import Haul, onto_wasserstein

FREE = Threat(name="free")


def projected(wish, clean, radius, sharpness=1000.0, rounds=30):
    start = Haul(clean, torch.zeros_like(clean), torch.ones(len(clean)))
    found = onto_wasserstein(wish, clean, start, radius=radius, side=5, sharpness=sharpness, rounds=rounds)
    return found.point


@pytest.mark.parametrize("radius", [0.25, 0.5])
def test_all_mass_in_one_pixel_moves_the_share_its_radius_pays(radius):
    clean = torch.zeros(1, 1, 1, 9)
    clean[..., 4] = 1.0
    point = projected(clean.roll(1, 3), clean, radius)
    assert torch.allclose(point[0, 0, 0, 4:6], torch.tensor([1 - radius, radius]).double(), atol=0.01)


@pytest.mark.parametrize("rounds", [1, 3, 30])
def test_on_a_line_the_distance_never_exceeds_the_radius(rng, rounds):
    """On a line the distance is the area between the cumulative sums."""
    clean = torch.rand(6, 1, 1, 20, generator=rng).double()
    clean = clean / clean.sum((1, 2, 3), keepdim=True)
    wish = clean + 0.05 * torch.randn(6, 1, 1, 20, generator=rng)
    point = projected(wish, clean, 0.3, rounds=rounds)
    assert torch.allclose(point.sum((1, 2, 3)), torch.ones(6).double())
    assert bool((point >= 0).all())
    assert float((point - clean).cumsum(3).abs().sum((1, 2, 3)).max()) <= 0.3 + 1e-9


def test_a_larger_radius_breaks_more_and_mass_is_kept(digits_plain, rng):
    target, x, y = digits_plain.target, digits_plain.x[:60], digits_plain.y[:60]
    rates = []
    for radius in (0.05, 0.3, 1.0):
        found = Wasserstein(steps=15, radius=radius).run(target, x, y, FREE, rng)
        assert float(((found.sum((1, 2, 3)) / x.sum((1, 2, 3))) - 1).abs().max()) < 0.05
        rates.append(float((target.predict(found).argmax(1) != y).float().mean()))
    assert rates == sorted(rates)
    assert rates[0] < 0.3
    assert rates[2] > 0.6


def test_the_threats_ball_is_kept_and_a_blank_image_stays(digits_plain, rng):
    x, y = digits_plain.x[:8].clone(), digits_plain.y[:8]
    x[0] = 0.0
    found = Wasserstein(steps=5).run(digits_plain.target, x, y, LINF_0_1, rng)
    assert bool(region(LINF_0_1.ball, x, (0, 1)).contains(found).all())
    assert bool((found[0] == 0).all())
