"""Noise is Gaussian to its tails, keyed, and never the same twice without a key."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from hauberk.numeric.private_noise import CHUNK, NoiseSource
from hauberk.numeric.tree_noise import TreeNoise, tree_sensitivity

KEY = bytes(range(16))


def test_it_is_normal_of_the_asked_scale() -> None:
    sample = NoiseSource(KEY).normal(300_001, scale=2.5)
    assert stats.kstest(sample.double().numpy() / 2.5, "norm").pvalue > 1e-3
    assert abs(float(sample.std()) - 2.5) < 0.02
    assert float(sample.abs().max()) > 4 * 2.5
    pairs = sample[:300_000].view(-1, 2)
    assert abs(float(torch.corrcoef(pairs.T)[0, 1])) < 0.01


def test_a_key_gives_one_stream_and_no_key_never_the_same() -> None:
    one, two = NoiseSource(KEY), NoiseSource(KEY)
    assert torch.equal(one.normal(CHUNK + 7), two.normal(CHUNK + 7))
    assert not torch.equal(one.normal(5), one.normal(5))
    assert not torch.equal(NoiseSource().normal(5), NoiseSource().normal(5))
    assert NoiseSource().secret and not one.secret
    seeds = [NoiseSource.seeded(torch.Generator().manual_seed(3)).normal(4) for _ in range(2)]
    assert torch.equal(*seeds)
    with pytest.raises(ValueError, match="16 bytes"):
        NoiseSource(b"short")


def test_coins_permutations_and_laplace() -> None:
    source = NoiseSource(KEY)
    assert float(source.coins(200_000, 0.03).double().mean()) == pytest.approx(0.03, abs=2e-3)
    assert not source.coins(100, 0.0).any() and source.coins(100, 1.0).all()
    assert source.permutation(500).sort().values.tolist() == list(range(500))
    draws = source.laplace(100_000, 3.0)
    assert stats.kstest(draws.numpy() / 3, "laplace").pvalue > 1e-3


def test_tree_noise_has_the_variance_of_its_nodes() -> None:
    """After 1, 2, 3 leaves with σ = 1: 1; 1/(1 + 1/2); the two nodes of 2 + 1 (Honaker's average)."""
    runs = []
    for row in range(200):
        tree, total, sums = TreeNoise(100, 1.0, NoiseSource(bytes([row] * 16))), torch.zeros(100), []
        for _ in range(4):
            total = total + tree.residual(torch.empty(100))
            sums.append(total)
        runs.append(torch.stack(sums))
    seen = torch.stack(runs).var((0, 2)).tolist()
    assert seen == pytest.approx([1, 2 / 3, 5 / 3, 1 / (1 + 1 / (4 / 3))], rel=0.05)


def test_a_restarted_tree_keeps_what_was_released() -> None:
    tree = TreeNoise(3, 1.0, NoiseSource(KEY))
    first = tree.residual(torch.empty(3)).clone()
    tree.restart()
    second = tree.residual(torch.empty(3))
    assert not torch.equal(first, second)  # the difference is the new tree's own, not minus the old one's


@pytest.mark.parametrize(
    ("steps", "period", "restart", "squared"),
    [(8, 8, 8, 4), (40, 8, 8, 20), (5, 5, 5, 3), (1, 1, 1, 1), (4, 1, 0, 4 + 2 * 4 + 16)],
)
def test_tree_sensitivity_counts_the_nodes_above_a_leaf(steps, period, restart, squared) -> None:
    assert tree_sensitivity(steps, period, restart) ** 2 == pytest.approx(squared)
