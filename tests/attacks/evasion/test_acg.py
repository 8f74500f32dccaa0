"""ACG: its conjugate directions by hand, its optimum on linear models, and that it is no weaker than PGD."""

import pytest
import torch

from hauberk.attacks.ascent import Schedule, checkpoints
from hauberk.attacks.counting import Ledger, view
from hauberk.attacks.driver import Driving
from hauberk.attacks.evasion import acg
from hauberk.attacks.evasion.acg import ACG
from hauberk.attacks.evasion.pgd import PGD
from hauberk.core.threat import LINF_0_1, Ball, Threat
from hauberk.numeric.losses import lead

L2 = Threat(name="l2", ball=Ball("l2", 0.6))
PRECISE = Driving(precision="float32")


def test_its_turn_is_the_classical_one_but_for_the_sign():
    """With exact line searches, classical conjugate directions reach the top of −½ xᵀAx + bᵀx in d steps."""
    a = torch.diag(torch.tensor([1.0, 3.0, 9.0], dtype=torch.float64))
    b, x = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    old = way = None
    for _ in range(3):
        slope = b - a @ x
        way = slope if way is None else slope - acg._beta(slope[None], old[None], way[None]) * way
        x, old = x + (slope @ way) / (way @ a @ way) * way, slope
    assert torch.allclose(a @ x, b, atol=1e-12)


def test_a_gradient_that_does_not_change_has_no_conjugate_part():
    same = torch.ones(2, 3)
    assert acg._beta(same, same, same).tolist() == [0.0, 0.0]


def test_rescaling_judges_the_pace_at_its_own_times():
    assert list(checkpoints(100, Schedule(0.43, 0.24, 0.08)))[:3] == [43, 62, 70]


@pytest.mark.parametrize("rescaling", [True, False])
@pytest.mark.parametrize(("norm", "radius", "slack"), [("linf", 0.05, 1e-3), ("l2", 0.2, 5e-3)])
def test_it_reaches_the_linear_optimum(make_linear, rng, norm, radius, slack, rescaling):
    target = make_linear(12, 2)
    x = 0.4 + 0.2 * torch.rand(40, 12, generator=rng)
    y = target.predict(x).argmax(1)
    attack = ACG(loss="ce", rescaling=rescaling, driving=Driving(early_stop=False, precision="float32"))
    found = attack.run(target, x, y, Threat(name="t", ball=Ball(norm, radius)), rng)
    weight = target.net.weight.detach()
    rows = weight[1 - y] - weight[y]
    dual = {"linf": rows.abs().sum(1), "l2": rows.norm(dim=1)}[norm]
    best = lead(target.predict(x), y) + radius * dual
    reached = lead(target.predict(found), y)
    assert bool((reached <= best + 1e-4).all())
    assert bool((reached >= best - slack * radius * dual - 1e-4).all())


@pytest.mark.parametrize("rescaling", [True, False])
@pytest.mark.parametrize("threat", [LINF_0_1, L2], ids=lambda t: t.name)
def test_it_is_no_weaker_than_pgd_at_equal_steps(digits_plain, threat, rescaling):
    def broken(attack):
        rng = torch.Generator().manual_seed(0)
        found = attack.run(digits_plain.target, digits_plain.x, digits_plain.y, threat, rng)
        return int((digits_plain.target.predict(found).argmax(1) != digits_plain.y).sum())

    pgd, acg = broken(PGD(steps=40, driving=PRECISE)), broken(ACG(steps=40, rescaling=rescaling, driving=PRECISE))
    assert 0 < pgd < len(digits_plain.y)
    assert acg >= pgd - 1  # one sample may turn on the rounding of another processor's kernels


def test_it_costs_its_steps_and_one_look(make_linear, rng):
    target = make_linear(12, 3)
    x = torch.rand(25, 12, generator=rng)
    y, ledger = target.predict(x).argmax(1), Ledger()
    ACG(steps=11).run(view(target, "white-box", ledger), x, y, Threat(name="t", ball=Ball("linf", 1e-5)), rng)
    assert (ledger.queries, ledger.gradients) == (25 * 12, 25 * 11)


@pytest.mark.parametrize("classes", [2, 3])
def test_few_classes_and_a_wanted_one(make_linear, rng, classes):
    target = make_linear(12, classes)
    x = torch.rand(40, 12, generator=rng)
    y = target.predict(x).argmax(1)
    threat = Threat(name="t", ball=Ball("linf", 0.5), target_class=0)
    found = ACG(steps=40, loss="dlr").run(target, x, y, threat, rng)
    assert (target.predict(found).argmax(1) == 0).float().mean() > 0.9
