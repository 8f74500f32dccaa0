"""Brendel–Bethge: exact distances on linear models, a start where noise gives none, and its place beside DeepFool."""

import pytest
import torch

from hauberk.attacks.counting import Ledger, view
from hauberk.attacks.evasion.brendel_bethge import BrendelBethge
from hauberk.attacks.evasion.deepfool import DeepFool
from hauberk.core.threat import LINF_0_1, Threat
from hauberk.numeric.balls import region, size

FREE = Threat(name="free")


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
def test_on_a_linear_model_it_is_the_distance_to_the_boundary(make_linear, rng, norm):
    target = make_linear(20, 2, bounds=(-3.0, 3.0))
    x = 0.5 * torch.randn(40, 20, generator=rng)
    y = target.predict(x).argmax(1)
    found = BrendelBethge(steps=60, norm=norm).run(target, x, y, FREE, rng)
    assert bool((target.predict(found).argmax(1) != y).all())
    weight, scores = target.net.weight.detach(), target.predict(x)
    row = weight[0] - weight[1]
    dual = {"l2": row.norm(), "linf": row.abs().sum(), "l1": row.abs().max()}[norm]
    exact = (scores[:, 0] - scores[:, 1]).abs() / dual
    share = size(found - x, norm) / exact
    assert float(share.min()) >= 0.999
    assert float(share.median()) < 1.03
    assert float(share.max()) < 1.2


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_from_far_away_it_ends_about_where_deepfool_does(digits_plain, rng, norm):
    target, x, y = digits_plain.target, digits_plain.x, digits_plain.y
    near, far = (BrendelBethge(steps=steps, norm=norm).run(target, x, y, FREE, rng) for steps in (50, 1))
    assert float((target.predict(near).argmax(1) != y).float().mean()) > 0.98
    fooled = DeepFool(norm=norm).run(target, x, y, FREE, rng)
    reached, begun, beside = (float(size(point - x, norm).median()) for point in (near, far, fooled))
    assert reached < 1.2 * beside
    assert reached < 0.7 * begun


def test_few_changes_are_found_in_l0(digits_plain, rng):
    target, x, y = digits_plain.target, digits_plain.x, digits_plain.y
    found = BrendelBethge(steps=50, norm="l0").run(target, x, y, FREE, rng)
    assert float(size(found - x, "l0").median()) <= 8


def test_another_input_is_the_start_where_noise_is_not(make_linear, rng):
    """The one class noise never has: a sum far above that of uniform values."""
    target = make_linear(50, 2)
    with torch.no_grad():
        target.net.weight.copy_(torch.stack((torch.zeros(50), torch.ones(50))))
        target.net.bias.copy_(torch.tensor([0.0, -45.0]))
    x = torch.cat((0.3 * torch.rand(10, 50, generator=rng), 1 - 0.01 * torch.rand(10, 50, generator=rng)))
    y = target.predict(x).argmax(1)
    assert y.tolist() == [0] * 10 + [1] * 10
    found = BrendelBethge(steps=20).run(target, x, y, FREE, rng)
    assert bool((target.predict(found).argmax(1) != y).all())


@pytest.mark.parametrize("norm", ["l2", "l1", "l0"])
def test_more_looks_for_a_start_end_nearer(digits_plain, rng, norm):
    target, x, y = digits_plain.target, digits_plain.x, digits_plain.y
    few, many = (BrendelBethge(steps=20, starts=n, norm=norm).run(target, x, y, FREE, rng) for n in (8, 80))
    hit = (target.predict(few).argmax(1) != y) & (target.predict(many).argmax(1) != y)
    assert float(size(many - x, norm)[hit].mean()) < 0.97 * float(size(few - x, norm)[hit].mean())


def test_blind_looks_cost_no_gradient_and_the_ball_is_kept(digits_plain, rng):
    ledger, (x, y) = Ledger(), (digits_plain.x[:30], digits_plain.y[:30])
    found = BrendelBethge(steps=5, starts=4).run(view(digits_plain.target, "white-box", ledger), x, y, LINF_0_1, rng)
    assert bool(region(LINF_0_1.ball, x, (0, 1)).contains(found).all())
    assert ledger.gradients <= 30 * 5
    assert ledger.queries <= 30 * (1 + 4 + 10 + 5 + 1) + 30 * 5


def test_a_target_class_is_reached(make_linear, rng):
    target = make_linear(20, 4)
    x = torch.rand(60, 20, generator=rng)
    y = target.predict(x).argmax(1)
    wanted = int(torch.bincount(y, minlength=4).argmax())
    found = BrendelBethge(steps=20).run(target, x, y, Threat(name="t", target_class=wanted), rng)
    assert float((target.predict(found).argmax(1) == wanted).float().mean()) > 0.9
