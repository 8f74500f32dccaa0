"""The balls: exact in float32, nearest, and never out of the box."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hauberk.core.threat import Ball
from hauberk.numeric.balls import Region, floor_float32, region, size, steepest
from hauberk.numeric.projections import onto_l0, onto_l1, onto_l2

NORMS = ("linf", "l2", "l1", "l0")
RADII = {"linf": (8 / 255, 0.1, 0.3, 1e-4), "l2": (0.5, 2.0, 1e-3), "l1": (12.0, 1.0, 0.05), "l0": (1.0, 3.0, 7.0)}
BOUNDS = ((0.0, 1.0), (-2.1179, 2.64), (0.0, 255.0))


@st.composite
def cases(draw: st.DrawFn, norms: tuple[str, ...] = NORMS) -> tuple[Region, torch.Tensor, torch.Generator]:
    norm = draw(st.sampled_from(norms))
    radius, bounds = draw(st.sampled_from(RADII[norm])), draw(st.sampled_from(BOUNDS))
    rng = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    shape = (draw(st.integers(1, 4)), *draw(st.sampled_from([(1,), (7,), (3, 4, 4), (1, 28, 28)])))
    low, high = (torch.tensor(b) for b in bounds)
    x = low + (high - low) * torch.rand(shape, generator=rng)
    # Real inputs sit on the bounds: black borders, saturated pixels.
    edge = torch.rand(shape, generator=rng)
    x = torch.where(edge < 0.2, low, torch.where(edge > 0.9, high, x)).clamp(low, high)
    scale = draw(st.sampled_from([1e-4, 0.1, 1.0, 30.0])) * max(radius, 1e-3)
    moved = x + scale * torch.randn(shape, generator=rng)
    return region(Ball(norm, radius), x, bounds), moved, rng


def inside_exactly(where: Region, point: torch.Tensor, radius: float) -> bool:
    narrow = size(point - where.center, where.norm)
    wide = size(point.double() - where.center.double(), where.norm)
    fits = bool((narrow <= radius).all()) and max(wide.tolist()) <= radius and max(narrow.tolist()) <= radius
    return fits and bool((point >= where.lower).all()) and bool((point <= where.upper).all())


@given(cases())
@settings(max_examples=300, deadline=None)
def test_projected_points_lie_inside_in_float32_and_float64(case):
    where, moved, _ = case
    point = where.project(moved)
    assert point.dtype == torch.float32
    assert inside_exactly(where, point, where.radius)
    assert bool(where.contains(point).all())


@given(cases())
@settings(max_examples=200, deadline=None)
def test_projection_is_idempotent_to_the_bit(case):
    where, moved, _ = case
    once = where.project(moved)
    assert torch.equal(where.project(once), once)


@given(cases())
@settings(max_examples=150, deadline=None)
def test_an_approach_differs_from_the_projection_by_rounding_alone(case):
    where, moved, _ = case
    slack = 1e-5 * where.radius + 1e-6 * float(moved.abs().max())
    assert bool(((where.approach(moved) - where.project(moved)).abs() <= slack).all())


@given(cases())
@settings(max_examples=150, deadline=None)
def test_no_random_feasible_point_is_nearer(case):
    where, moved, rng = case
    mine = size((where.project(moved) - moved).double(), "l2")
    for _ in range(8):
        share = torch.rand((), generator=rng)
        rival = where.project(where.center + share * (where.scatter(rng) - where.center))
        theirs = size((rival - moved).double(), "l2")
        assert bool((mine <= theirs * (1 + 1e-5) + 1e-5 * max(1.0, where.radius)).all())


@given(cases(norms=("l2", "l1")))
@settings(max_examples=100, deadline=None)
def test_projection_satisfies_the_variational_inequality(case):
    """p is the projection of u iff ⟨u − p, z − p⟩ ≤ 0 for every feasible z."""
    where, moved, rng = case
    point = where.project(moved)
    gap = (moved - point).double().flatten(1)
    for _ in range(8):
        toward = (where.scatter(rng) - point).double().flatten(1)
        slack = 1e-4 * (gap.norm(dim=1) * where.radius + 1e-6)
        assert bool(((gap * toward).sum(1) <= slack).all())


@given(cases())
@settings(max_examples=100, deadline=None)
def test_random_starts_lie_inside(case):
    where, _, rng = case
    assert inside_exactly(where, where.scatter(rng), where.radius)


def test_a_radius_that_is_no_float32_is_rounded_down():
    assert floor_float32(8 / 255) <= 8 / 255
    assert float(torch.tensor(8 / 255)) > 8 / 255  # the trap: nearest rounds up
    assert floor_float32(0.5) == 0.5


def test_linf_projection_reaches_the_whole_radius():
    where = region(Ball("linf", 0.25), torch.full((1, 2), 0.5), (0.0, 1.0))
    assert torch.equal(where.project(torch.tensor([[9.0, -9.0]])), torch.tensor([[0.75, 0.25]]))


def test_l2_projection_by_hand():
    low, high = torch.full((1, 2), -0.5), torch.full((1, 2), 9.0)
    assert torch.allclose(onto_l2(torch.tensor([[3.0, 4.0]]), low, high, 1.0), torch.tensor([[0.6, 0.8]]))
    # (−5, 3): the first is held at −0.5 by the box, so the second has √(1 − 0.25) left.
    assert torch.allclose(onto_l2(torch.tensor([[-5.0, 3.0]]), low, high, 1.0), torch.tensor([[-0.5, math.sqrt(0.75)]]))


def test_l1_projection_by_hand():
    low, high = torch.full((1, 3), -9.0), torch.full((1, 3), 9.0)
    move = torch.tensor([[3.0, -2.0, 0.5]])
    assert torch.allclose(onto_l1(move, low, high, 2.0), torch.tensor([[1.5, -0.5, 0.0]]))
    held = torch.tensor([[0.25, 9.0, 9.0]])
    # The first meets the box at 0.25; 0.25 + (2 − λ) + (0.5 − λ) = 2 gives λ = 0.375.
    assert torch.allclose(onto_l1(move, low, held, 2.0), torch.tensor([[0.25, -1.625, 0.125]]))


def test_l0_keeps_what_saves_most_under_the_box():
    move = torch.tensor([[3.0, 2.9, 0.1]])
    low, high = torch.full((1, 3), -9.0), torch.tensor([[0.1, 9.0, 9.0]])
    # The largest entry can only move by 0.1: keeping the second saves more.
    assert torch.equal(onto_l0(move, low, high, 1), torch.tensor([[0.0, 2.9, 0.0]]))


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_steepest_direction_has_unit_norm_and_the_dual_gain(norm):
    gradient = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    way = steepest(gradient, norm)
    dual = {"linf": 1, "l2": 2, "l1": math.inf}[norm]
    gain = (way * gradient).flatten(1).sum(1)
    assert torch.allclose(size(way, norm), torch.ones(5), atol=1e-6)
    assert torch.allclose(gain, torch.linalg.vector_norm(gradient.flatten(1), dual, dim=1), rtol=1e-5)


def test_steepest_survives_tiny_and_zero_gradients():
    tiny = torch.full((1, 4), 1e-30)
    assert torch.allclose(steepest(tiny, "l2"), torch.full((1, 4), 0.5))
    assert torch.equal(steepest(torch.zeros(1, 4), "l2"), torch.zeros(1, 4))


def test_without_a_ball_only_the_bounds_bind():
    where = region(None, torch.full((1, 2), 0.5), (0.0, 1.0), "l1")
    assert torch.equal(where.project(torch.tensor([[7.0, 0.2]])), torch.tensor([[1.0, 0.2]]))
    assert where.distance(torch.tensor([[1.0, 0.0]])).item() == 1.0
