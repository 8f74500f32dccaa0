"""Attacks on availability: more activations, more boxes, inside the ball; measured by what they do not compute."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hauberk.attacks.availability.overload import Overload
from hauberk.attacks.availability.sponge import Sponge
from hauberk.attacks.effort import density
from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.threat import Ball, Threat
from hauberk.targets import from_torch

SHAPE = (1, 8, 8)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(5)


def network(last):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(1, 12, 3), nn.ReLU(), nn.Conv2d(12, 12, 3), nn.ReLU(), nn.Flatten(), nn.Linear(192, last)
        )
    with torch.no_grad():
        net[0].bias.sub_(0.3)
        net[2].bias.sub_(0.1)
    return net


def noisy(x, radius, rng):
    return (x + radius * (2 * torch.rand(x.shape, generator=rng) - 1).sign()).clamp(0, 1)


@pytest.mark.parametrize("ball", [Ball("linf", 0.1), Ball("l2", 1.0)], ids=lambda ball: ball.norm)
def test_a_sponge_soaks_up_more_than_noise(ball, rng):
    net = network(4)
    target = from_torch(net, bounds=(0, 1), shape=SHAPE, classes=4)
    x = 0.2 + 0.6 * torch.rand(20, *SHAPE, generator=rng)
    before = x.clone()
    threat = Threat(name="t", ball=ball)
    found = Sponge().run(target, x, torch.zeros(20).long(), threat, rng)
    assert torch.equal(x, before)
    order = torch.inf if ball.norm == "linf" else 2
    assert float((found - x).flatten(1).norm(order, 1).max()) <= ball.radius * (1 + 1e-6)
    clean, dense = (density(net, points).mean() for points in (x, found))
    noise = density(net, noisy(x, 0.1, rng)).mean()
    assert float(dense) > float(clean) + 0.03
    assert float(dense) > float(noise) + 0.02
    assert torch.equal(found, Sponge().run(target, x, torch.zeros(20).long(), threat, rng))
    assert Sponge().run(target, x[:0], torch.zeros(0).long(), threat, rng).shape == (0, *SHAPE)


def test_density_counts_what_layers_multiply():
    net = nn.Sequential(nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 2))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0], [1], [1], [-1], [-1], [-1]]) * torch.eye(4)[0])
    x = torch.tensor([[1.0, 0, 0, 0], [-1, 2, 3, 4]])
    # One of four inputs and three of six activations; then all four and the other three.
    assert density(net, x).tolist() == pytest.approx([4 / 10, 7 / 10])
    with pytest.raises(MissingPower, match="nothing to count"):
        density(nn.ReLU(), x)


def test_a_detector_is_flooded_with_boxes(rng):
    net = nn.Sequential(network(30), nn.Sigmoid())
    x = torch.rand(10, *SHAPE, generator=rng)
    with torch.no_grad():  # a fifth of the boxes of clean inputs are kept
        net[0][-1].bias.sub_(net[0](x).quantile(0.8, dim=0) - 0.2)
    target = from_torch(net, bounds=(0, 1), shape=SHAPE, classes=30, answers="logits")
    threat = Threat(name="t", ball=Ball("linf", 0.15))
    found = Overload(threshold=0.55).run(target, x, torch.zeros(10).long(), threat, rng)
    boxes = [int((target.predict(points) > 0.55).sum()) for points in (x, noisy(x, 0.15, rng), found)]
    assert boxes[2] > 1.3 * max(boxes[:2])
    assert float((found - x).abs().max()) <= 0.15 * (1 + 1e-6)


def test_what_is_missing_is_said(rng):
    target = from_torch(network(4), bounds=(0, 1), shape=SHAPE, classes=4)
    x, y = torch.rand(2, *SHAPE, generator=rng), torch.zeros(2).long()

    class Asked:
        spec, predict = target.spec, staticmethod(target.predict)

    for attack in (Sponge(), Overload()):
        with pytest.raises(UsageError, match="linf and l2"):
            attack.run(target, x, y, Threat(name="t", ball=Ball("l0", 3)), rng)
        with pytest.raises(MissingPower):
            attack.run(Asked(), x, y, Threat(name="t", ball=Ball("linf", 0.1)), rng)
