"""Cosine waves: orthonormal, slowest first, and directions that hold no faster ones."""

from __future__ import annotations

import torch

from hauberk.numeric.waves import cosines, waves


def test_waves_are_orthonormal_and_the_slowest_come_first():
    basis = cosines(9, 9)
    assert torch.allclose(basis.T @ basis, torch.eye(9), atol=1e-5)
    turns = (basis[1:] * basis[:-1] < 0).sum(0)
    assert turns.tolist() == list(range(9))


def test_directions_hold_slow_waves_alone_and_all_of_them_alike():
    rng = torch.Generator().manual_seed(0)
    drawn = waves((4000, 2, 8, 10), 0.5, torch.zeros(1), rng)
    power = (cosines(8, 8).T @ drawn @ cosines(10, 10)).square().mean((0, 1))
    assert float(power[4:].max()) < 1e-9
    assert float(power[:, 5:].max()) < 1e-9
    assert torch.allclose(power[:4, :5], torch.ones(4, 5), atol=0.1)


def test_a_row_has_no_frequencies():
    one, other = (torch.Generator().manual_seed(1) for _ in range(2))
    assert torch.equal(waves((3, 50), 0.1, torch.zeros(1), one), torch.randn(3, 50, generator=other))
