"""Searches for the nearest error: exact distances to a hyperplane, small norms on a net, every goal and corner case."""

import pytest
import torch

from hauberk.attacks.evasion.alma import ALMA
from hauberk.attacks.evasion.carlini_wagner import CarliniWagner
from hauberk.attacks.evasion.ddn import DDN
from hauberk.attacks.evasion.deepfool import DeepFool
from hauberk.attacks.evasion.ead import EAD
from hauberk.attacks.evasion.fab import FAB
from hauberk.attacks.evasion.fmn import FMN
from hauberk.attacks.evasion.newtonfool import NewtonFool
from hauberk.attacks.evasion.pdpgd import PDPGD
from hauberk.attacks.evasion.super_deepfool import SuperDeepFool
from hauberk.core.errors import UsageError
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.balls import region, size

FREE = Threat(name="any distance")
ATTACKS = {
    "alma-l2": (ALMA(norm="l2"), "l2", 1.1),
    "alma-l1": (ALMA(norm="l1"), "l1", 1.6),
    "cw-l2": (CarliniWagner(norm="l2", steps=300), "l2", 1.15),
    "cw-linf": (CarliniWagner(norm="linf", steps=300), "linf", 1.2),
    "ddn": (DDN(steps=60), "l2", 1.05),
    "ead-l1": (EAD(norm="l1", steps=300), "l1", 1.6),
    "fab-l2": (FAB(norm="l2", steps=20), "l2", 1.02),
    "fab-linf": (FAB(norm="linf", steps=20), "linf", 1.02),
    "fab-l1": (FAB(norm="l1", steps=20), "l1", 1.02),
    "fab-targets": (FAB(norm="l2", steps=20, targets=4), "l2", 1.02),
    "fmn-l2": (FMN(norm="l2", steps=60), "l2", 1.05),
    "fmn-linf": (FMN(norm="linf", steps=60), "linf", 1.05),
    "fmn-l1": (FMN(norm="l1", steps=60), "l1", 1.3),
    "pdpgd-l2": (PDPGD(norm="l2", steps=300), "l2", 1.3),
    "pdpgd-linf": (PDPGD(norm="linf", steps=300), "linf", 1.5),
    "pdpgd-l1": (PDPGD(norm="l1", steps=300), "l1", 1.6),
    "sdf-l2": (SuperDeepFool(norm="l2", steps=10), "l2", 1.02),
    "sdf-linf": (SuperDeepFool(norm="linf", steps=10), "linf", 1.02),
    "sdf-l1": (SuperDeepFool(norm="l1", steps=10), "l1", 1.02),
}
QUICK = {
    **{name: attack for name, (attack, _, _) in ATTACKS.items()},
    "cw-l0": CarliniWagner(norm="l0", steps=100),
    "deepfool": DeepFool(),
    "fmn-l0": FMN(norm="l0"),
    "newtonfool": NewtonFool(),
    "pdpgd-l0": PDPGD(norm="l0", steps=100),
}
DUAL = {"linf": 1, "l2": 2, "l1": torch.inf}


def distances(target, x, y, norm):
    """Distance of each x to the nearest face of its class's cell: min over k of gap / ‖w_k − w_y‖ in the dual norm."""
    weight, scores = target.net.weight.detach().double(), target.predict(x).double()
    gap = scores.gather(1, y[:, None]) - scores
    dual = torch.linalg.vector_norm(weight[None] - weight[y][:, None], DUAL[norm], dim=2)
    return (gap / dual).masked_fill(torch.nn.functional.one_hot(y, scores.shape[1]).bool(), torch.inf).amin(1)


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("classes", [2, 5])
def test_on_a_linear_model_it_comes_near_the_distance_to_the_nearest_face(make_linear, rng, name, classes):
    attack, norm, within = ATTACKS[name]
    target = make_linear(12, classes, bounds=(-8.0, 8.0))
    x = torch.randn(30, 12, generator=rng)
    y = target.predict(x).argmax(1)
    found = attack.run(target, x, y, FREE, rng)
    assert bool((target.predict(found).argmax(1) != y).all())
    ratio = size((found - x).double(), norm) / distances(target, x, y, norm)
    assert float(ratio.min()) > 0.999, "nothing is nearer than the face"
    assert float(ratio.median()) < within


@pytest.mark.parametrize("name", QUICK)
def test_corner_cases_give_points_and_numbers(make_linear, make_plain, rng, name):
    attack = QUICK[name]
    target = make_linear(6, 3)
    x = torch.rand(12, 6, generator=rng)
    wrong = (target.predict(x).argmax(1) + 1) % 3
    assert torch.equal(attack.run(target, x, wrong, FREE, rng), x), "already wrong: nothing is nearer"

    class Flat(torch.nn.Module):
        def forward(self, x):
            return x.flatten(1).sum(1, keepdim=True) * torch.zeros(1, 3) + torch.tensor([1.0, 0.0, 0.0])

    flat = make_plain(Flat(), (6,), 3)
    assert bool(torch.isfinite(attack.run(flat, x, torch.zeros(12, dtype=torch.long), FREE, rng)).all())


@pytest.mark.parametrize("name", QUICK)
def test_a_targeted_threat_reaches_its_class(make_linear, rng, name):
    target = make_linear(12, 4, bounds=(-8.0, 8.0))
    x = torch.randn(30, 12, generator=rng)
    y = target.predict(x).argmax(1)
    found = QUICK[name].run(target, x, y, Threat(name="t", target_class=3), rng)
    # NewtonFool stalls where the wanted class's probability is flat.
    least = 0.5 if name == "newtonfool" else 0.95
    assert float((target.predict(found).argmax(1) == 3).float().mean()) > least


@pytest.mark.parametrize("name", ["alma-l2", "cw-l2", "ddn", "fab-l2", "fmn-l2", "pdpgd-l2", "sdf-l2"])
def test_a_ball_ends_the_search_of_a_sample_once_an_error_lies_inside(digits_plain, rng, name):
    target, x, y = digits_plain.target, digits_plain.x[:60], digits_plain.y[:60]
    threat = Threat(name="t", ball=Ball("l2", 0.9))
    free = QUICK[name].run(target, x, y, FREE, rng)
    asked = sum(target.sizes)
    target.sizes.clear()
    found = QUICK[name].run(target, x, y, threat, rng)
    assert sum(target.sizes) < asked
    assert bool(region(threat.ball, x, (0, 1)).contains(found).all())
    inside = (target.predict(free).argmax(1) != y) & (size(free - x, "l2") <= 0.9)
    assert torch.equal(target.predict(found).argmax(1) != y, inside), "the same samples as a search without a ball"


@pytest.mark.parametrize(("attack", "norm", "least"), [
    (DDN(steps=30), "l2", 1.0),
    (FMN(steps=30), "l2", 1.0),
    (ALMA(steps=30), "l2", 1.0),
    (CarliniWagner(steps=150), "l2", 1.1),
    (FAB(steps=15), "l2", 1.0),
    (SuperDeepFool(steps=10), "l2", 1.0),
    (NewtonFool(), "l2", 3.0),
    (FMN(steps=30, norm="linf"), "linf", 1.0),
])  # fmt: skip
def test_on_a_net_all_break_and_norms_are_smaller_than_deepfools(digits_plain, rng, attack, norm, least):
    target, x, y = digits_plain.target, digits_plain.x, digits_plain.y
    found, plain = attack.run(target, x, y, FREE, rng), DeepFool(norm=norm).run(target, x, y, FREE, rng)
    assert float((target.predict(found).argmax(1) != y).float().mean()) > 0.98
    assert bool(((found >= 0) & (found <= 1)).all())
    assert float(size(found - x, norm).median()) < least * float(size(plain - x, norm).median())


def test_in_l0_few_coordinates_change(digits_plain, rng):
    target, x, y = digits_plain.target, digits_plain.x[:50], digits_plain.y[:50]
    for attack, most in ((FMN(norm="l0"), 6), (PDPGD(norm="l0", steps=200), 10), (CarliniWagner(norm="l0"), 6)):
        found = attack.run(target, x, y, FREE, rng)
        assert float((target.predict(found).argmax(1) != y).float().mean()) > 0.95
        assert float(size(found - x, "l0").median()) <= most


def test_more_gradients_come_nearer(digits_plain, rng):
    target, x, y = digits_plain.target, digits_plain.x, digits_plain.y
    for kind in (ALMA, FMN):
        few, many = (size(kind(steps=n, norm="l1").run(target, x, y, FREE, rng) - x, "l1").mean() for n in (8, 100))
        assert float(many) < float(few)


def test_the_scale_of_inputs_does_not_matter(digits_plain, make_plain, rng):
    class Grey(torch.nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x / 255)

    target, x, y = digits_plain.target, digits_plain.x[:60], digits_plain.y[:60]
    grey = make_plain(Grey(target.net), (1, 8, 8), 10, bounds=(0.0, 255.0))
    for attack in (DDN(steps=20), FMN(steps=20), ALMA(steps=20), CarliniWagner(steps=50)):
        near, scaled = attack.run(target, x, y, FREE, rng), attack.run(grey, x * 255, y, FREE, rng) / 255
        one, other = (float(size(found - x, "l2").median()) for found in (near, scaled))
        assert one == pytest.approx(other, rel=0.1)


def test_a_norm_it_does_not_know_is_refused(make_linear):
    threat = Threat(name="t", ball=Ball("l1", 1))
    with pytest.raises(UsageError, match="ddn works in l2; threat t has l1"):
        DDN().run(make_linear(4, 2), torch.rand(1, 4), torch.tensor([0]), threat, torch.Generator())
