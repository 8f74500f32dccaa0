"""A stand-in's gradient under the step's own value, and what it does to a defence by quantisation."""

import pytest
import torch

from hauberk.attacks.driver import Driving
from hauberk.attacks.evasion.pgd import PGD
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.bpda import identity, straight_through
from hauberk.targets import from_torch


def coarse(x):
    """Round to 8 levels in blocks of 2 pixels, as a crude JPEG does: flat almost everywhere."""
    blocks = torch.nn.functional.avg_pool2d(x, 2)
    return (torch.nn.functional.interpolate(blocks, scale_factor=2) * 7).round() / 7


def test_the_value_is_the_steps_and_the_gradient_the_stand_ins():
    x = torch.linspace(0, 1, 7).requires_grad_()
    step = straight_through(torch.round, lambda v: 3 * v)
    out = step(x)
    assert torch.equal(out, x.detach().round())
    (slope,) = torch.autograd.grad(out.sum(), x)
    assert torch.equal(slope, torch.full((7,), 3.0))
    assert torch.equal(step(x.detach()), x.detach().round())


def test_a_stand_in_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="stand-in"):
        straight_through(lambda x: x[:, :1])(torch.zeros(2, 3, requires_grad=True))


def test_a_step_outside_torch_will_do():
    step = straight_through(lambda x: torch.from_numpy(x.numpy().round()))
    assert torch.equal(step(torch.tensor([[0.2, 0.7]], requires_grad=True)), torch.tensor([[0.0, 1.0]]))


def test_it_breaks_a_quantised_model_that_pgd_cannot(digits_plain):
    threat = Threat(name="t", ball=Ball("linf", 0.15))
    x, y, net = digits_plain.x[:100], digits_plain.y[:100], digits_plain.target.net
    attack = PGD(steps=20, random_start=False, driving=Driving(precision="float32"))

    def robust(before):
        target = from_torch(net, bounds=(0.0, 1.0), before=before)
        right = target.predict(x).argmax(1) == y
        found = attack.run(target, x, y, threat, torch.Generator().manual_seed(0))
        return float((target.predict(found).argmax(1) == y)[right].float().mean())

    assert robust(coarse) == 1.0, "no slope, no step"
    assert robust(straight_through(coarse)) < 0.5
    assert robust(straight_through(coarse, lambda v: torch.nn.functional.avg_pool2d(v, 3, 1, 1))) < 0.6
    assert robust(straight_through(identity)) == pytest.approx(robust(None))
