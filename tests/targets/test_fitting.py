"""A fresh start keeps nothing of what a network knew, and repeats for the same generator."""

import torch
from torch import nn

from hauberk.numeric.fresh_start import started_anew


def trained():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.LazyLinear(4), nn.LSTM(4, 3))
    net[:4](torch.rand(2, 1, 5, 5))
    with torch.no_grad():
        for value in (*net.parameters(), *(b for b in net.buffers() if b.is_floating_point())):
            value.fill_(1e6)
    return net


def test_nothing_of_the_old_values_is_left():
    net = trained()
    assert started_anew(net, torch.Generator().manual_seed(0)) == ()
    for name, value in net.state_dict().items():
        assert value.abs().max() < 10, name


def test_a_start_repeats_and_leaves_the_global_generator():
    nets = [trained() for _ in range(3)]
    state = torch.random.get_rng_state()
    for net, seed in zip(nets, (0, 0, 1), strict=True):
        started_anew(net, torch.Generator().manual_seed(seed))
    assert torch.equal(torch.random.get_rng_state(), state)
    weights = [net[0].weight for net in nets]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_parameters_without_a_rule_of_their_own_are_named():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.full((50, 50), 9.0))
            self.scale = nn.Parameter(torch.full((3,), 9.0))
            self.shift = nn.Parameter(torch.full((3,), 9.0))

    net = Odd()
    (note,) = started_anew(net, torch.Generator().manual_seed(0))
    assert all(name in note for name in ("table", "scale", "shift"))
    assert 0.015 < net.table.std() < 0.025
    assert net.scale.tolist() == [1.0] * 3
    assert net.shift.tolist() == [0.0] * 3
