"""Faces and proximal maps against brute force: linear programmes, bisection, grids."""

import pytest
import torch
from scipy.optimize import linprog

from hauberk.numeric.faces import faces, onto_face
from hauberk.numeric.losses import Aim
from hauberk.numeric.projections import onto_l0, onto_l1, onto_l2, onto_sphere
from hauberk.numeric.proximal import shrink


def problem(rows=40, d=12, seed=0):
    rng = torch.Generator().manual_seed(seed)
    slope = torch.randn(rows, d, generator=rng)
    slope[:, 0] = 0
    low, high = -torch.rand(rows, d, generator=rng), torch.rand(rows, d, generator=rng)
    return slope, low, high, torch.randn(rows, generator=rng) / 2


@pytest.mark.parametrize("norm", ["linf", "l1"])
def test_the_move_onto_a_face_is_the_smallest_of_a_linear_programme(norm):
    slope, low, high, gap = problem()
    move = onto_face(slope, gap, low, high, norm)
    assert bool(((move >= low) & (move <= high)).all())
    assert torch.allclose((slope * move).sum(1), gap, atol=1e-5)
    d = slope.shape[1]
    for row in range(len(gap)):
        # z split in its parts above and below 0; in linf one more variable bounds both.
        w = slope[row].double().tolist()
        extra = int(norm == "linf")
        cost = [0.0] * (2 * d) + [1.0] if extra else [1.0] * (2 * d)
        bounds = [(0, float(v)) for v in high[row]] + [(0, -float(v)) for v in low[row]] + [(0, None)] * extra
        equal = [[*w, *(-v for v in w), *[0.0] * extra]]
        under = [[float(j == i) for j in range(2 * d)] + [-1.0] for i in range(2 * d)] if extra else None
        best = linprog(cost, under, [0.0] * (2 * d) if extra else None, equal, [float(gap[row])], bounds)
        size = move[row].abs().max() if extra else move[row].abs().sum()
        assert float(size) == pytest.approx(best.fun, abs=1e-4)


def test_the_l2_move_onto_a_face_satisfies_the_optimality_conditions():
    slope, low, high, gap = problem()
    move = onto_face(slope, gap, low, high, "l2")
    assert torch.allclose((slope * move).sum(1), gap, atol=1e-5)
    inner = (move > low + 1e-6) & (move < high - 1e-6) & (slope != 0)
    ratio = (move / slope).masked_fill(~inner, torch.nan)
    for row in range(len(gap)):
        shares = ratio[row][inner[row]]
        assert torch.allclose(shares, shares.mean(), atol=1e-4)
        rest = ~inner[row] & (slope[row] != 0)
        assert bool((move[row][rest].abs() <= (shares.mean() * slope[row][rest]).abs() + 1e-5).all())


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_face_out_of_reach_is_approached_as_far_as_the_box_allows(norm):
    slope, low, high, _ = problem(5)
    move = onto_face(slope, torch.full((5,), 1e3), low, high, norm)
    assert torch.allclose(move, torch.where(slope > 0, high, low) * (slope != 0), atol=1e-6)
    assert bool((onto_face(slope * 0, torch.ones(5), low, high, norm) == 0).all())


def test_a_gap_ends_behind_the_face_and_says_which_side():
    logits = torch.tensor([[2.0, 2.0, 0.0], [1.0, 3.0, 0.0]])
    found = faces(logits, Aim(torch.zeros(2, dtype=torch.long)), 2)
    assert bool((found.gaps > 0).all())
    assert found.behind.tolist() == [[False, False], [True, False]]
    assert torch.equal(found.slope[1, 0], torch.tensor([-1.0, 1.0, 0.0]))
    wanted = faces(logits, Aim(torch.zeros(2, dtype=torch.long), torch.full((2,), 2)), 2)
    assert wanted.slope.shape == (2, 1, 3)
    assert not wanted.behind.any()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
def test_a_proximal_map_beats_every_point_nearby(norm):
    move, _, _, _ = problem(8, 6)
    weight = torch.linspace(0.02, 0.4, 8).unsqueeze(1)
    found = shrink(move, weight, norm)

    def worth(z):
        size = {
            "linf": lambda: z.abs().amax(-1),
            "l2": lambda: z.norm(dim=-1),
            "l1": lambda: z.abs().sum(-1),
            "l0": lambda: (z.abs() ** (2 / 3)).sum(-1),
        }[norm]()
        return weight * size + (z - move.unsqueeze(1)).square().sum(-1) / 2

    rng = torch.Generator().manual_seed(1)
    best = worth(found.unsqueeze(1))
    for scale in (1e-3, 1e-2, 0.1, 1.0):
        others = found.unsqueeze(1) + scale * torch.randn(8, 400, 6, generator=rng)
        assert bool((worth(others) >= best - 1e-6).all())
    assert bool((worth(move.unsqueeze(1)) >= best - 1e-6).all())
    assert bool((worth(torch.zeros_like(move).unsqueeze(1)) >= best - 1e-6).all())


def test_each_sample_may_have_a_radius_of_its_own():
    move, low, high, _ = problem(6, 20)
    radius = torch.linspace(0.2, 1.2, 6).unsqueeze(1)
    for onto in (onto_l2, onto_l1):
        one = torch.cat([onto(*(t[i : i + 1] for t in (move, low, high)), float(radius[i])) for i in range(6)])
        assert torch.allclose(onto(move, low, high, radius), one, atol=1e-5)
    count = torch.arange(6).unsqueeze(1)
    assert torch.equal((onto_l0(move, low, high, count) != 0).sum(1, keepdim=True), count)
    on = onto_sphere(move * 1e-3, low, high, radius)
    assert torch.allclose(on.norm(dim=1, keepdim=True), radius, rtol=1e-2)
    assert bool(((on >= low) & (on <= high)).all())
