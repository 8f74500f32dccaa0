from __future__ import annotations

import pytest
import torch

from hauberk.numeric.active import take
from hauberk.numeric.moments import Moments, untouched


def test_its_steps_are_those_of_torchs_adam():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(5, 3, 2, generator=rng)
    ours, memory, theirs = x.clone(), untouched(x), x.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([theirs], lr=0.01)
    for step in range(20):
        theirs.grad = torch.randn(x.shape, generator=rng) * 10.0 ** (step % 4 - 2)
        memory = memory.after(theirs.grad)
        ours = ours - 0.01 * memory.way()
        optimizer.step()
    assert torch.allclose(ours, theirs.detach(), atol=1e-6)


def test_a_shorter_memory_is_that_of_the_other_decay():
    x = torch.zeros(4)
    memory, theirs = Moments(x, x, keeps=0.9), x.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([theirs], lr=1.0, betas=(0.9, 0.9))
    ours = x
    for slope in ([1.0, -2, 0, 1e-3], [0.5, 4, 0, -1]):
        theirs.grad = torch.tensor(slope)
        memory = memory.after(theirs.grad)
        ours = ours - memory.way()
        optimizer.step()
    assert torch.allclose(ours, theirs.detach(), atol=1e-6)


def test_it_shrinks_with_the_samples_and_goes_on_alike():
    slopes = torch.randn(3, 6, 2, generator=torch.Generator().manual_seed(1))
    rows = torch.tensor([0, 4])
    whole, part = untouched(slopes[0]).after(slopes[0]), untouched(slopes[0]).after(slopes[0])
    part = take(part, rows)
    for slope in slopes[1:]:
        whole, part = whole.after(slope), part.after(slope[rows])
    assert torch.equal(part.way(), whole.way()[rows])


def test_each_value_may_have_an_age_of_its_own():
    slope = torch.tensor([[2.0, 2.0]])
    once = untouched(slope).after(slope)
    twice = once.after(slope)
    mixed = Moments(
        torch.stack((once.mean[0, :1], twice.mean[0, :1]), 1),
        torch.stack((once.square[0, :1], twice.square[0, :1]), 1),
        torch.tensor([[1.0, 2.0]]),
    )
    assert mixed.way().tolist() == [[pytest.approx(1.0, rel=1e-4)] * 2]


def test_where_nothing_slopes_nothing_moves():
    flat = torch.zeros(2, 3)
    assert torch.equal(untouched(flat).after(flat).way(), flat)
