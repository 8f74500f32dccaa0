"""Flickering: one colour a frame, exact on a linear model, and the smoother the rougher it is charged for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hauberk.attacks.evasion.flickering import Flickering, bumps
from hauberk.core.errors import UsageError
from hauberk.core.threat import Ball, Threat

FLICKER = Threat(name="t", ball=Ball("linf", 0.02))
SHAPE = (5, 3, 4, 4)


@pytest.fixture
def clips(make_plain):
    rng = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(240, 2))
    with torch.no_grad():
        net[1].weight.copy_(torch.randn(2, 240, generator=rng))
        net[1].bias.copy_(-0.5 * net[1].weight.sum(1))
    target = make_plain(net, SHAPE, 2)
    x = 0.3 + 0.4 * torch.rand(60, *SHAPE, generator=rng)
    return target, x, target.predict(x).argmax(1)


def test_it_breaks_just_what_one_colour_a_frame_can_break(clips, rng):
    target, x, y = clips
    scores = target.predict(x)
    gap = (scores[:, 0] - scores[:, 1]).abs()
    weight = target.net[1].weight.detach()
    best = FLICKER.ball.radius * (weight[0] - weight[1]).reshape(SHAPE).sum((2, 3)).abs().sum()
    found = Flickering(thickness=0, roughness=0).run(target, x, y, FLICKER, rng)
    broken = target.predict(found).argmax(1) != y
    assert torch.equal(broken, gap < best)
    assert 0 < int(broken.sum()) < 60
    colour = found - x
    assert float((colour - colour[..., :1, :1]).abs().max()) < 1e-6


def test_a_wanted_class_and_dark_frames(clips, rng):
    target, x, _ = clips
    x[..., :1] = 0.0
    before = target.predict(x).argmax(1)
    wanted = int(before.bincount(minlength=2).argmin())
    threat = Threat(name="t", ball=Ball("linf", 0.1), target_class=wanted)
    found = Flickering().run(target, x, before, threat, rng)
    assert (target.predict(found).argmax(1) == wanted).sum() > (before == wanted).sum()
    assert float(found.min()) >= 0
    with pytest.raises(UsageError, match="linf"):
        Flickering().run(target, x, x[:, 0, 0, 0, 0].long(), Threat(name="t", ball=Ball("l2", 1)), rng)


def test_what_is_rough_is_charged_for(clips, rng):
    from hauberk.attacks.driver import Driving

    target, x, y = clips
    calm, wild = (
        (Flickering(roughness=rough, driving=Driving(early_stop=False)).run(target, x, y, FLICKER, rng) - x)[..., 0, 0]
        for rough in (3.0, 0.0)
    )
    assert float(calm.diff(dim=1).square().mean()) < 0.5 * float(wild.diff(dim=1).square().mean())


def test_the_charge_is_the_slope_of_squared_differences():
    colour = torch.randn(2, 6, 3, 1, 1, dtype=torch.float64, requires_grad=True)
    ahead, behind = colour.roll(-1, 1), colour.roll(1, 1)
    charge = ((ahead - colour).square().sum() + (ahead - 2 * colour + behind).square().sum()) / 2
    (slope,) = torch.autograd.grad(charge, colour)
    assert torch.allclose(slope, bumps(colour.detach()))
