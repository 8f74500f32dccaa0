"""BIM: its small steps add up to the radius, and nothing in it is drawn."""

import pytest
import torch

from hauberk.attacks.driver import Driving
from hauberk.attacks.evasion.bim import BIM
from hauberk.attacks.evasion.fgsm import FGSM
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.losses import lead

STRONGEST = Driving(early_stop=False, precision="float32")


@pytest.mark.parametrize(("norm", "radius"), [("linf", 0.05), ("l2", 0.2)])
def test_on_a_linear_model_its_steps_add_up_to_the_optimum(make_linear, rng, norm, radius):
    target = make_linear(12, 2)
    x = 0.4 + 0.2 * torch.rand(40, 12, generator=rng)
    y, threat = target.predict(x).argmax(1), Threat(name="t", ball=Ball(norm, radius))
    found = BIM(driving=STRONGEST).run(target, x, y, threat, rng)
    once = FGSM(driving=STRONGEST).run(target, x, y, threat, rng)
    assert torch.allclose(lead(target.predict(found), y), lead(target.predict(once), y), atol=1e-4)


def test_it_draws_nothing(digits_plain):
    threat = Threat(name="t", ball=Ball("linf", 0.1))
    first, second = (
        BIM(driving=STRONGEST).run(
            digits_plain.target, digits_plain.x, digits_plain.y, threat, torch.Generator().manual_seed(seed)
        )
        for seed in (1, 2)
    )
    assert torch.equal(first, second)


def test_small_steps_break_more_than_one_large_one(digits_plain, rng):
    threat = Threat(name="t", ball=Ball("linf", 0.1))

    def broken(attack):
        found = attack.run(digits_plain.target, digits_plain.x, digits_plain.y, threat, rng)
        return int((digits_plain.target.predict(found).argmax(1) != digits_plain.y).sum())

    assert broken(BIM()) >= broken(FGSM()) > 0
