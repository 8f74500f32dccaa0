"""HCLU: errors the target is sure of, no farther than they must be, also where it answers at random."""

import math

import pytest
import torch
from torch import nn

from hauberk.attacks.evasion.high_confidence_low_uncertainty import HCLU, log_odds
from hauberk.core.threat import L2_0_5, Threat
from hauberk.numeric.balls import region
from hauberk.numeric.losses import Aim

FREE = Threat(name="free")


def chances(target, found, y):
    return torch.softmax(target.predict(found), 1).scatter(1, y[:, None], 0.0).amax(1)


@pytest.mark.parametrize("confidence", [0.6, 0.95])
def test_on_two_classes_it_is_the_distance_to_that_confidence(make_linear, rng, confidence):
    target = make_linear(20, 2, bounds=(-5.0, 5.0))
    x = torch.randn(40, 20, generator=rng)
    y = target.predict(x).argmax(1)
    found = HCLU(confidence=confidence).run(target, x, y, FREE, rng)
    assert float(chances(target, found, y).min()) >= confidence - 1e-4
    gap = target.predict(x).diff(dim=1).abs().squeeze(1) + math.log(confidence / (1 - confidence))
    exact = gap / target.net.weight.detach().diff(dim=0).norm()
    assert bool(((found - x).norm(dim=1) < 1.15 * exact).all())


def test_on_a_net_it_is_sure_and_cut_to_a_ball(digits_plain, rng):
    target, x, y = digits_plain.target, digits_plain.x, digits_plain.y
    assert float((chances(target, HCLU().run(target, x, y, FREE, rng), y) >= 0.9499).float().mean()) > 0.97
    assert bool(region(L2_0_5.ball, x, (0, 1)).contains(HCLU(steps=20).run(target, x, y, L2_0_5, rng)).all())


def test_more_caution_goes_farther_where_answers_scatter(make_plain, rng):
    class Scattering(nn.Module):
        def __init__(self):
            super().__init__()
            self.rng = torch.Generator().manual_seed(0)

        def forward(self, x):
            score = 3 * x.sum(1) + torch.randn(len(x), generator=self.rng)
            return torch.stack((-score, score), 1)

    x, y = torch.full((20, 4), -0.5), torch.zeros(20, dtype=torch.long)
    target = make_plain(Scattering(), (4,), 2, (-3.0, 3.0))
    bold, careful = (
        float((HCLU(draws=5, caution=caution).run(target, x, y, FREE, rng) - x).norm(dim=1).mean())
        for caution in (0.0, 3.0)
    )
    assert careful > 1.2 * bold


def test_the_odds_have_autograds_slope(rng):
    logits = torch.randn(6, 4, generator=rng).requires_grad_()
    climb = log_odds(logits.detach(), Aim(torch.zeros(6, dtype=torch.long), torch.full((6,), 2)))
    share = torch.softmax(logits, 1)[:, 2]
    exact = (share / (1 - share)).log()
    (slope,) = torch.autograd.grad(exact.sum(), logits)
    assert torch.allclose(climb.value, exact, atol=1e-5)
    assert torch.allclose(climb.slope, slope, atol=1e-5)
