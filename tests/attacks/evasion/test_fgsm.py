"""FGSM against the optimum of a linear model."""

import pytest
import torch

from hauberk.attacks.counting import Ledger, view
from hauberk.attacks.driver import Driving
from hauberk.attacks.evasion.fgsm import FGSM
from hauberk.core.errors import UsageError
from hauberk.core.threat import LINF_0_1, Ball, Threat
from hauberk.numeric.balls import region
from hauberk.numeric.losses import lead


def test_it_finds_the_linear_optimum_in_one_step(make_linear, rng):
    target = make_linear(12, 2)
    x = 0.3 + 0.4 * torch.rand(40, 12, generator=rng)
    y = target.predict(x).argmax(1)
    found = FGSM().run(target, x, y, LINF_0_1, rng)
    weight = target.net.weight.detach()
    rows = weight[1 - y] - weight[y]
    best = lead(target.predict(x), y) + 0.1 * rows.abs().sum(1)
    assert torch.allclose(lead(target.predict(found), y), best, atol=1e-4)
    assert bool(region(LINF_0_1.ball, x, (0, 1)).contains(found).all())


@pytest.mark.parametrize(("norm", "radius"), [("l2", 0.3), ("l1", 0.4)])
def test_l2_and_sparsest_l1_steps_gain_the_dual_norm(make_linear, rng, norm, radius):
    target = make_linear(12, 2)
    x = 0.4 + 0.2 * torch.rand(40, 12, generator=rng)
    y = target.predict(x).argmax(1)
    threat = Threat(name="t", ball=Ball(norm, radius))
    found = FGSM(sparsity=0.0).run(target, x, y, threat, rng)
    weight = target.net.weight.detach()
    rows = weight[1 - y] - weight[y]
    dual = rows.norm(dim=1) if norm == "l2" else rows.abs().amax(1)
    assert torch.allclose(lead(target.predict(found), y), lead(target.predict(x), y) + radius * dual, atol=1e-4)


def test_it_costs_one_forward_and_one_gradient(make_linear, rng):
    target = make_linear(5, 3)
    x = torch.rand(30, 5, generator=rng)
    y = target.predict(x).argmax(1)
    ledger = Ledger()
    FGSM().run(view(target, "white-box", ledger), x, y, LINF_0_1, rng)
    assert (ledger.queries, ledger.gradients) == (30, 30)


def test_a_sample_already_wrong_stays(make_linear, rng):
    target = make_linear(5, 3)
    x = torch.rand(30, 5, generator=rng)
    y = (target.predict(x).argmax(1) + 1) % 3
    assert torch.equal(FGSM().run(target, x, y, LINF_0_1, rng), x)


def test_a_random_start_moves_and_stays_inside(make_linear, rng):
    target = make_linear(5, 3)
    x = torch.rand(30, 5, generator=rng)
    y = target.predict(x).argmax(1)
    found = FGSM(pace=1.25, random_start=True).run(target, x, y, LINF_0_1, rng)
    assert bool(region(LINF_0_1.ball, x, (0, 1)).contains(found).all())


def test_a_random_step_gets_past_a_gradient_masked_at_the_clean_input(make_plain, rng):
    class Masked(torch.nn.Module):
        """Linear, but flat within 0.01 of every quarter."""

        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(8, 2)

        def forward(self, x):
            quarter = (x * 4).round().detach() / 4
            return self.linear(torch.where((x - quarter).abs() < 0.01, quarter, x))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        target = make_plain(Masked(), (8,), 2)
    x = torch.randint(1, 4, (60, 8), generator=rng) / 4
    y, threat = target.predict(x).argmax(1), Threat(name="t", ball=Ball("linf", 0.2))
    exact = Driving(precision="float32")
    assert torch.equal(FGSM(driving=exact).run(target, x, y, threat, rng), x)
    found = FGSM(random_step=0.5, driving=exact).run(target, x, y, threat, rng)
    assert bool(region(threat.ball, x, (0, 1)).contains(found).all())
    gained = lead(target.predict(found), y) - lead(target.predict(x), y)
    weight = target.net.linear.weight.detach()
    most = 0.2 * (weight[1 - y] - weight[y]).abs().sum(1)
    assert bool((gained <= most + 1e-5).all())
    assert float((gained / most).mean()) > 0.3, "half of the way is sure, the other half random"


def test_a_norm_it_does_not_know_is_refused(make_linear, rng):
    target = make_linear(5, 3)
    with pytest.raises(UsageError, match="works in linf, l2, l1"):
        FGSM().run(target, torch.rand(2, 5), torch.tensor([0, 1]), Threat(name="t", ball=Ball("l0", 2)), rng)
