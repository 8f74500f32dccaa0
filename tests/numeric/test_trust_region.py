"""The best step along a boundary, against many random steps that keep the same constraints."""

import pytest
import torch

from hauberk.numeric.balls import size
from hauberk.numeric.trust_region import along_boundary


def case(rows=8, wide=40):
    rng = torch.Generator().manual_seed(0)
    clean = torch.rand(rows, wide, generator=rng)
    x = (clean + 0.4 * torch.randn(rows, wide, generator=rng)).clamp(0, 1)
    slope = torch.randn(rows, wide, generator=rng)
    return clean - x, slope, 0.3 * torch.randn(rows, generator=rng), -x, 1 - x


@pytest.mark.parametrize("norm", ["l2", "linf", "l1", "l0"])
@pytest.mark.parametrize("radius", [0.5, 1.0, 100.0])
def test_it_keeps_its_constraints_and_comes_nearer_home(norm, radius):
    home, slope, gain, low, high = case()
    step = along_boundary(norm, home, slope, gain, low, high, torch.full((8,), radius))
    assert bool(((step >= low) & (step <= high)).all())
    assert bool((step.norm(dim=1) <= radius * (1 + 1e-5)).all())
    assert bool(((slope * step).sum(1) >= gain - 2e-2 * min(radius, 4.0) * slope.norm(dim=1)).all())
    assert bool((size(home - step, norm) <= size(home, norm)).all())


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
def test_no_small_change_that_keeps_the_constraints_is_nearer(norm):
    home, slope, gain, low, high = case()
    radius = torch.full((8,), 1.0)
    step = along_boundary(norm, home, slope, gain, low, high, radius)
    best, unit = size(home - step, norm), slope / slope.norm(dim=1, keepdim=True)
    rng = torch.Generator().manual_seed(1)
    for _ in range(500):
        other = step + 0.05 * torch.randn(step.shape, generator=rng)
        other = other + unit * (gain / slope.norm(dim=1) - (unit * other).sum(1)).unsqueeze(1)
        other = other / (other.norm(dim=1) / radius).clamp(min=1).unsqueeze(1)
        kept = ((other >= low) & (other <= high)).all(1) & ((slope * other).sum(1) >= gain - 1e-5)
        assert bool((size(home - other, norm) >= 0.98 * best)[kept].all())


def test_a_plane_out_of_reach_is_approached():
    home, slope, _, low, high = case()
    step = along_boundary("l2", home, slope, torch.full((8,), 50.0), low, high, torch.full((8,), 0.1))
    assert torch.allclose(step.norm(dim=1), torch.full((8,), 0.1), rtol=1e-3)
    assert bool(((slope * step).sum(1) > 0).all())


def test_without_a_slope_there_are_numbers():
    home, slope, gain, low, high = case()
    for norm in ("l2", "linf", "l1", "l0"):
        step = along_boundary(norm, home, torch.zeros_like(slope), gain, low, high, torch.full((8,), 0.5))
        assert bool(step.isfinite().all())
