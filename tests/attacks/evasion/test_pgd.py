"""PGD: closed forms on linear models, balls, seeds, and what the driver does for it."""

import pytest
import torch

from hauberk.attacks.driver import Driving
from hauberk.attacks.evasion.pgd import PGD
from hauberk.core.threat import LINF_0_1, Ball, Threat
from hauberk.numeric.balls import region
from hauberk.numeric.losses import lead
from hauberk.targets import from_torch

STRONGEST = Driving(early_stop=False, precision="float32")
THREATS = [LINF_0_1, Threat(name="l2", ball=Ball("l2", 0.7)), Threat(name="l1", ball=Ball("l1", 2.5))]


@pytest.mark.parametrize(("norm", "radius", "slack"), [("linf", 0.05, 1e-4), ("l2", 0.2, 5e-3), ("l1", 0.3, 2e-2)])
def test_it_reaches_the_linear_optimum(make_linear, rng, norm, radius, slack):
    """max over ‖δ‖ ≤ ε of w·δ is ε‖w‖ in the dual norm."""
    target = make_linear(12, 2)
    x = 0.4 + 0.2 * torch.rand(40, 12, generator=rng)
    y = target.predict(x).argmax(1)
    attack = PGD(steps=100, sparsity=0.0, driving=STRONGEST)
    found = attack.run(target, x, y, Threat(name="t", ball=Ball(norm, radius)), rng)
    weight = target.net.weight.detach()
    rows = weight[1 - y] - weight[y]
    dual = {"linf": rows.abs().sum(1), "l2": rows.norm(dim=1), "l1": rows.abs().amax(1)}[norm]
    best = lead(target.predict(x), y) + radius * dual
    reached = lead(target.predict(found), y)
    assert bool((reached <= best + 1e-4).all())
    assert bool((reached >= best - slack * radius * dual - 1e-4).all())


@pytest.mark.parametrize("threat", THREATS, ids=lambda t: t.name)
def test_it_stays_in_ball_and_bounds_and_leaves_its_input_alone(digits_plain, rng, threat):
    x, y = digits_plain.x, digits_plain.y
    before = x.clone()
    found = PGD(steps=10).run(digits_plain.target, x, y, threat, rng)
    assert torch.equal(x, before)
    assert found.dtype == torch.float32
    assert bool(region(threat.ball, x, (0, 1)).contains(found).all())
    assert float((found - x).abs().amax()) <= 1
    assert all(parameter.grad is None for parameter in digits_plain.target.net.parameters())
    broken = digits_plain.target.predict(found).argmax(1) != y
    assert 0.1 < broken.float().mean().item() <= 1


@pytest.mark.parametrize("threat", THREATS, ids=lambda t: t.name)
def test_same_seed_same_result_and_another_seed_another(digits_plain, threat):
    def once(seed):
        rng = torch.Generator().manual_seed(seed)
        return PGD(steps=5).run(digits_plain.target, digits_plain.x, digits_plain.y, threat, rng)

    assert torch.equal(once(1), once(1))
    assert not torch.equal(once(1), once(2))


def test_restarts_break_no_fewer(digits_plain):
    def robust(restarts):
        rng = torch.Generator().manual_seed(5)
        found = PGD(steps=4, restarts=restarts).run(digits_plain.target, digits_plain.x, digits_plain.y, LINF_0_1, rng)
        return digits_plain.target.predict(found).argmax(1) == digits_plain.y

    once, thrice = robust(1), robust(3)
    assert bool((thrice <= once).all())


def test_a_targeted_threat_reaches_its_class(make_linear, rng):
    target = make_linear(12, 4)
    x = torch.rand(60, 12, generator=rng)
    y = target.predict(x).argmax(1)
    threat = Threat(name="t", ball=Ball("linf", 0.5), target_class=2)
    for loss in ("ce", "margin", "dlr"):
        found = PGD(steps=40, loss=loss).run(target, x, y, threat, rng)
        assert (target.predict(found).argmax(1) == 2).float().mean() > 0.9


@pytest.mark.parametrize("classes", [2, 3])
def test_dlr_works_on_few_classes(make_linear, rng, classes):
    target = make_linear(12, classes)
    x = torch.rand(40, 12, generator=rng)
    y = target.predict(x).argmax(1)
    found = PGD(steps=20, loss="dlr").run(target, x, y, Threat(name="t", ball=Ball("linf", 0.5)), rng)
    assert (target.predict(found).argmax(1) != y).float().mean() > 0.9


@pytest.mark.parametrize(
    ("update", "norm", "radius", "slack"),
    [("momentum", "linf", 0.05, 1e-3), ("momentum", "l2", 0.2, 5e-3), ("adam", "linf", 0.05, 1e-3)],
)
def test_every_update_reaches_the_linear_optimum(make_linear, rng, update, norm, radius, slack):
    target = make_linear(12, 2)
    x = 0.4 + 0.2 * torch.rand(40, 12, generator=rng)
    y = target.predict(x).argmax(1)
    attack = PGD(steps=100, update=update, driving=STRONGEST)
    found = attack.run(target, x, y, Threat(name="t", ball=Ball(norm, radius)), rng)
    weight = target.net.weight.detach()
    rows = weight[1 - y] - weight[y]
    gain = radius * (rows.abs().sum(1) if norm == "linf" else rows.norm(dim=1))
    reached = lead(target.predict(found), y) - lead(target.predict(x), y)
    assert bool((reached <= gain + 1e-4).all())
    assert bool((reached >= (1 - slack) * gain - 1e-4).all())


@pytest.mark.parametrize("update", ["steepest", "momentum"])
def test_in_l0_it_moves_the_best_few_coordinates_to_their_bounds(make_linear, rng, update):
    """The optimum of a linear model changes the coordinates with the most to gain, each to its bound."""
    target = make_linear(12, 2)
    x = torch.rand(40, 12, generator=rng)
    y = target.predict(x).argmax(1)
    attack = PGD(steps=60, pace=5.0, update=update, random_start=False, driving=STRONGEST)
    found = attack.run(target, x, y, Threat(name="t", ball=Ball("l0", 3)), rng)
    assert int((found != x).sum(1).max()) <= 3
    weight = target.net.weight.detach()
    rows = weight[1 - y] - weight[y]
    gain = torch.maximum(rows * (1 - x), -rows * x).topk(3, dim=1).values.sum(1)
    reached = lead(target.predict(found), y) - lead(target.predict(x), y)
    assert bool((reached <= gain + 1e-4).all())
    assert float((reached / gain).mean()) > 0.97


def test_draws_break_more_of_a_model_that_answers_at_random(digits_plain):
    class Noisy(torch.nn.Module):
        """The net behind a random shift and noise: one look's gradient is mostly chance."""

        def __init__(self, net):
            super().__init__()
            self.net, self.rng = net, torch.Generator().manual_seed(3)

        def forward(self, x):
            down, right = torch.randint(-1, 2, (2,), generator=self.rng).tolist()
            noise = torch.randn(x.shape, generator=self.rng) * 0.3
            return self.net(x.roll((down, right), (2, 3)) + noise)

    x, y, threat = digits_plain.x, digits_plain.y, Threat(name="t", ball=Ball("linf", 0.15))

    def robust(draws):
        noisy = Noisy(digits_plain.target.net)
        target = from_torch(noisy, bounds=(0.0, 1.0))
        attack = PGD(steps=10, pace=0.2, driving=Driving(draws=draws, precision="float32", early_stop=False))
        found = attack.run(target, x, y, threat, torch.Generator().manual_seed(0))
        with torch.no_grad():
            return float(sum((noisy(found).argmax(1) == y).float().mean() for _ in range(20)) / 20)

    once, often = robust(1), robust(20)
    assert often < once - 0.05
