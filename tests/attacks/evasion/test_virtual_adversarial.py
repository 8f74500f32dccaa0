"""Virtual adversarial method: the divergence's direction, its cost, and its place below PGD and above noise."""

import torch

from hauberk.attacks.counting import Ledger, view
from hauberk.attacks.evasion.pgd import PGD
from hauberk.attacks.evasion.virtual_adversarial import VirtualAdversarial, divergence_from
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.balls import region
from hauberk.numeric.losses import Aim

L2 = Threat(name="l2", ball=Ball("l2", 0.8))


def test_the_divergence_has_autograds_slope(rng):
    chances, logits = torch.softmax(torch.randn(6, 4, generator=rng), 1), torch.randn(6, 4, generator=rng)
    logits.requires_grad_()
    climb = divergence_from(chances)(logits.detach(), Aim(torch.zeros(6, dtype=torch.long)))
    exact = torch.nn.functional.kl_div(torch.log_softmax(logits, 1), chances, reduction="none").sum(1)
    (slope,) = torch.autograd.grad(exact.sum(), logits)
    assert torch.allclose(climb.value, exact, atol=1e-6)
    assert torch.allclose(climb.slope, slope, atol=1e-6)


def test_on_two_classes_it_goes_straight_across_the_boundary(make_linear, rng):
    target = make_linear(20, 2, bounds=(-5.0, 5.0))
    x = torch.randn(30, 20, generator=rng)
    y = target.predict(x).argmax(1)
    found = VirtualAdversarial().run(target, x, y, L2, rng)
    row = target.net.weight.detach()[1 - y] - target.net.weight.detach()[y]
    cosine = torch.nn.functional.cosine_similarity(found - x, row)
    # Where the model is very sure, the divergence is too flat for float32.
    assert float((cosine > 0.99).float().mean()) > 0.9


def test_it_stands_between_noise_and_pgd(digits_plain, rng):
    target, x, y = digits_plain.target, digits_plain.x, digits_plain.y

    def wrong(found):
        return float((target.predict(found).argmax(1) != y).float().mean())

    noise = wrong(region(L2.ball, x, (0, 1)).scatter(rng))
    assert (
        noise + 0.1 < wrong(VirtualAdversarial().run(target, x, y, L2, rng)) <= wrong(PGD().run(target, x, y, L2, rng))
    )


def test_it_costs_its_steps_and_three_looks(digits_plain, rng):
    ledger = Ledger()
    x, y = digits_plain.x[:20], digits_plain.y[:20]
    VirtualAdversarial(steps=3).run(view(digits_plain.target, "white-box", ledger), x, y, L2, rng)
    assert (ledger.gradients, ledger.queries) == (20 * 3, 20 * 6)
