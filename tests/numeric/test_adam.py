"""Adam: the same path as the library's, and nothing of the parameters' own gradients touched."""

import torch

from hauberk.numeric.adam import Adam


def test_it_walks_the_path_of_the_library():
    rng = torch.Generator().manual_seed(0)
    start, goal = torch.randn(7, 3, generator=rng), torch.randn(7, 3, generator=rng)
    mine, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    ours, library = Adam([mine], 1e-2), torch.optim.Adam([theirs], lr=1e-2)
    for _ in range(50):
        ours.step((mine - goal).square().sum())
        library.zero_grad()
        (theirs - goal).square().sum().backward()
        library.step()
    assert torch.allclose(mine, theirs, atol=1e-5)
    assert mine.grad is None
    assert float((mine - goal).detach().norm()) < float((start - goal).norm())


def test_an_unused_or_frozen_parameter_stays():
    used, unused = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    frozen = torch.ones(2)
    Adam([used, unused, frozen], 0.1).step(used.sum())
    assert torch.allclose(used, torch.full((2,), 0.9))
    assert torch.equal(unused, torch.ones(2))
    assert torch.equal(frozen, torch.ones(2))
