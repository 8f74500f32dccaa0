"""The set of a patch: the nearest point by exhaustive search, exactness inside, fixed places, and laying patches on."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hauberk.core.errors import UsageError
from hauberk.core.threat import Patch
from hauberk.numeric.patches import cover, laid, patches, pinned, window, window_sums


def by_hand(clean, x, sides):
    """Of all rectangles the one that keeps most squared change."""
    h, w = clean.shape[1:]
    best = None
    for top in range(h - sides[0] + 1):
        for left in range(w - sides[1] + 1):
            point = clean.clone()
            area = (slice(None), slice(top, top + sides[0]), slice(left, left + sides[1]))
            point[area] = x[area]
            far = float((point - x).double().square().sum())
            best = far if best is None else min(best, far)
    return best


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 10**6))
def test_projection_is_the_nearest_point_and_stays_inside(height, width, seed):
    rng = torch.Generator().manual_seed(seed)
    clean, x = torch.rand(2, 3, 2, 4, 6, generator=rng)
    where = patches(Patch((height, min(width, 6))), clean, (0, 1))
    near = where.project(x)
    assert bool(where.contains(near).all())
    assert torch.equal(where.project(near), near), "points inside come back to the bit"
    for row in range(3):
        kept = float((near[row] - x[row]).double().square().sum())
        assert kept == pytest.approx(by_hand(clean[row], x[row], where.sides), abs=1e-6)
    assert bool(where.contains(where.scatter(rng)).all())


def test_a_tiny_change_in_the_rectangle_is_not_lost_to_rounding():
    clean = torch.full((1, 1, 8, 8), 0.5)
    x = clean.clone()
    x[0, 0, 2, 2], x[0, 0, 3, 3] = 1.0, 0.5 + 2**-20
    where = patches(Patch((2, 2)), clean, (0, 1))
    assert torch.equal(where.project(x), x)
    x[0, 0, 7, 7] = 0.5 - 2**-20
    assert not bool(where.contains(x))
    assert where.distance(where.project(x)).tolist() == [2.0]


def test_a_fixed_place_binds():
    clean = torch.zeros(2, 3, 6, 6)
    where = patches(Patch((2, 3), (1, 2)), clean, (0, 1))
    near = where.project(torch.ones_like(clean) * 9)
    assert torch.equal(near, window(torch.tensor([[1, 2]] * 2), (2, 3), clean).expand_as(near).float())
    assert not bool(where.contains(near.roll(1, 3)).any())
    with pytest.raises(UsageError, match="sticks out"):
        patches(Patch((2, 3), (5, 2)), clean, (0, 1))
    with pytest.raises(UsageError, match="images"):
        patches(Patch((2, 3)), torch.zeros(2, 5), (0, 1))


def test_sizes_in_shares():
    assert Patch(0.25).sides(20, 40) == (10, 20)
    assert Patch((9, 9)).sides(5, 30) == (5, 9)
    assert Patch(1e-9).sides(5, 5) == (1, 1)
    for wrong in (0.0, 1.5, (0, 3)):
        with pytest.raises(ValueError, match="the patch"):
            Patch(wrong)


def test_window_sums_are_sums():
    values = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(0))
    sums = window_sums(values, (2, 3))
    assert sums.shape == (2, 4, 5)
    assert float(sums[1, 2, 4]) == pytest.approx(float(values[1, 2:4, 4:7].sum()))


def test_upright_and_unscaled_pinning_is_laying_and_a_quarter_turn_turns():
    rng = torch.Generator().manual_seed(0)
    images, ink = torch.rand(3, 2, 9, 9, generator=rng), torch.rand(2, 4, 4, generator=rng)
    mask, corner = cover((4, 4), "rectangle", images.device), torch.tensor([[1, 2], [0, 0], [5, 5]])
    zero, one = torch.zeros(3), torch.ones(3)
    flat = laid(images, corner, ink, mask)
    assert torch.allclose(pinned(images, ink, mask, corner + 2.0, zero, one), flat, atol=1e-5)
    turned = pinned(images, ink, mask, corner + 2.0, zero + 90, one)
    assert torch.allclose(turned, laid(images, corner, ink.rot90(1, (1, 2)), mask), atol=1e-5)
    assert float(cover((40, 40), "ellipse", images.device).mean()) == pytest.approx(3.1416 / 4, abs=0.01)
