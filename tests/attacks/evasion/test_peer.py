"""Attacks of other libraries: asked as they want to be, and believed in nothing."""

from __future__ import annotations

import copy
import random
import re
import sys
import types

import numpy as np
import pytest
import torch

from hauberk.attacks.evasion.peer import Peer
from hauberk.core.errors import MeasurementError, UnknownName, UsageError
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.balls import region
from hauberk.targets import from_torch

LINF = Threat(name="t", ball=Ball("linf", 0.1))
TOWARDS = Threat(name="t", ball=Ball("linf", 0.1), target_class=2)


@pytest.fixture
def digits_plain(digits_plain):
    """The same net with frozen weights, as a target keeps them: a peer's backward would leave gradients on them."""
    fresh = copy.deepcopy(digits_plain)
    fresh.target.net.requires_grad_(False)
    return fresh


def library(monkeypatch, name, **members):
    """Put a library in the place of one that may or may not be installed."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:end]), types.ModuleType(".".join(parts[:end])))
    for key, value in members.items():
        setattr(sys.modules[name], key, value)


class Steep:
    """An attack in the manner of torchattacks that goes twice as far as it may, at random, by the global source."""

    asked: tuple = ()

    def __init__(self, model, eps=8 / 255, steps=10):
        Steep.asked = (eps, steps)
        self.model, self.eps, self.targeted = model, eps, False

    def set_mode_targeted_by_label(self, quiet=False):
        self.targeted = True

    def __call__(self, x, y):
        point = x.clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(self.model(point), y)
        loss.backward()
        far = 2 * self.eps * (1 + 0.01 * torch.rand(1).item() + 0 * random.random() + 0 * np.random.rand())
        return (x + far * point.grad.sign() * (-1 if self.targeted else 1)).clamp(0, 1)


@pytest.fixture
def steep(monkeypatch):
    library(monkeypatch, "torchattacks", Steep=Steep)
    return Peer("torchattacks", "Steep", '{"steps": 3}')


def test_it_is_asked_with_the_threat_and_the_settings_and_not_believed(steep, digits_plain, rng):
    d = digits_plain
    claim = steep.claim(d.target, d.x, d.y, LINF, rng)
    assert Steep.asked == (0.1, 3)
    kept = (claim.x - d.x).clamp(-0.1, 0.1) + d.x
    confirmed = d.target.predict(kept).argmax(1) != d.y
    assert torch.equal(claim.broken, d.target.predict(claim.x).argmax(1) != d.y)
    assert int(claim.broken.sum()) > int(confirmed.sum()) > 0


def test_rounding_is_put_right_and_nothing_else(monkeypatch, steep, digits_plain, rng):
    d = digits_plain
    for far, inside in ((0.1 * (1 + 3e-7), True), (0.11, False)):
        monkeypatch.setattr(Steep, "__call__", lambda _, x, __, far=far: (x + far * (x < 0.5)).clamp(0, 1))
        where = region(LINF.ball, d.x, (0.0, 1.0))
        found = steep.run(d.target, d.x, d.y, LINF, rng)
        assert bool(where.contains(found).all()) == inside
        assert inside or float((found - d.x).abs().max()) == pytest.approx(0.11)


def test_a_wanted_class_is_passed_on(steep, digits_plain, rng):
    d = digits_plain
    far = steep.claim(d.target, d.x, d.y, TOWARDS, rng)
    assert torch.equal(far.broken, d.target.predict(far.x).argmax(1) == 2)
    assert int(far.broken.sum()) > int((d.y == 2).sum())


def test_global_chance_is_seeded_by_ours_and_put_back(steep, digits_plain):
    d = digits_plain
    before = (torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())
    first, second, other = (
        steep.run(d.target, d.x[:5], d.y[:5], LINF, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    after = (torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_parameters_of_the_target_get_no_gradient(steep, digits_plain, rng):
    d = digits_plain
    weights = [p.detach().clone() for p in d.target.net.parameters()]
    steep.run(from_torch(d.target.net.requires_grad_(True)), d.x[:5], d.y[:5], LINF, rng)
    assert all(torch.equal(p, w) for p, w in zip(d.target.net.parameters(), weights, strict=True))
    assert all(p.grad is None for p in d.target.net.parameters())
    assert steep.run(d.target, d.x[:0], d.y[:0], LINF, rng).shape == (0, 1, 8, 8)


def test_foolbox_says_itself_what_it_broke(monkeypatch, digits_plain, rng):
    d = digits_plain

    def attack(model, x, criterion, epsilons):
        assert (criterion[0], epsilons) == ("not", 0.1)
        return x, x + 0.05, torch.arange(len(x)) < 3

    library(
        monkeypatch,
        "foolbox",
        PyTorchModel=lambda model, bounds, device: (model, bounds, device),
        criteria=types.SimpleNamespace(Misclassification=lambda y: ("not", y)),
        attacks=types.SimpleNamespace(LinfPGD=lambda: attack),
    )
    claim = Peer().claim(d.target, d.x, d.y, LINF, rng)
    assert int(claim.broken.sum()) == 3
    assert torch.equal(claim.x, d.x + 0.05)


def test_functions_get_what_their_signature_names(monkeypatch, digits_plain, rng):
    d, asked = digits_plain, {}

    def spsa(model_fn, x, eps, nb_iter, norm=np.inf, clip_min=None, clip_max=None, y=None, targeted=False):
        asked.update(eps=eps, norm=norm, clip=(clip_min, clip_max), nb_iter=nb_iter, targeted=targeted, y=y)
        return x

    library(monkeypatch, "cleverhans.torch.attacks.spsa", spsa=spsa)
    Peer("cleverhans", "spsa", '{"nb_iter": 7}').run(d.target, d.x, d.y, TOWARDS, rng)
    assert torch.equal(asked.pop("y"), torch.full_like(d.y, 2))
    assert asked == {"eps": 0.1, "norm": np.inf, "clip": (0.0, 1.0), "nb_iter": 7, "targeted": True}

    def pgd_linf(model, inputs, labels, ε, targeted=False):
        asked.update(radius=ε)
        return inputs

    library(monkeypatch, "adv_lib.attacks", pgd_linf=pgd_linf)
    Peer("adv_lib", "pgd_linf").run(d.target, d.x, d.y, LINF, rng)
    assert asked["radius"] == 0.1


def test_what_cannot_be_run_says_why(monkeypatch, steep, digits_plain, rng):
    d = digits_plain

    def run(attack):
        return attack.run(d.target, d.x[:2], d.y[:2], LINF, rng)

    with pytest.raises(UsageError, match="no JSON"):
        run(Peer("torchattacks", "Steep", "{steps"))
    with pytest.raises(UsageError, match="unexpected keyword"):
        run(Peer("torchattacks", "Steep", '{"stepz": 3}'))
    with pytest.raises(UnknownName, match="Steep"):
        run(Peer("torchattacks", "Step"))
    monkeypatch.setitem(sys.modules, "autoattack", None)
    with pytest.raises(UsageError, match="pip install git"):
        run(Peer("autoattack", "AutoAttack"))
    monkeypatch.setattr(Steep, "__call__", lambda *_: torch.zeros(1)[3])
    with pytest.raises(MeasurementError, match="IndexError"):
        run(steep)


def test_a_target_without_gradients_answers_and_says_what_a_white_box_lacks(monkeypatch, steep, digits_plain, rng):
    d = digits_plain

    class Asked:
        spec, predict = d.target.spec, staticmethod(d.target.predict)

    with pytest.raises(MeasurementError, match="does not require grad"):
        steep.run(Asked(), d.x, d.y, LINF, rng)
    monkeypatch.setattr(Steep, "__call__", lambda self, x, y: x + 0.1 * (self.model(x) > 1)[:, :1, None, None])
    assert not torch.equal(steep.run(Asked(), d.x, d.y, LINF, rng), d.x)


INSTALLED = (
    ("foolbox", "LinfPGD", ""),
    ("torchattacks", "PGD", ""),
    ("cleverhans", "projected_gradient_descent", '{"eps_iter": 0.02, "nb_iter": 20}'),
    ("art", "ProjectedGradientDescent", '{"eps_step": 0.02, "max_iter": 20}'),
    ("adv_lib", "pgd_linf", ""),
)


@pytest.mark.parametrize(("name", "attack", "settings"), INSTALLED, ids=[row[0] for row in INSTALLED])
def test_the_real_library_where_it_is_installed(name, attack, settings, digits_plain, rng):
    pytest.importorskip({"adv_lib": "adv_lib.attacks"}.get(name, name), exc_type=ImportError)
    d = digits_plain
    claim = Peer(name, attack, settings).claim(d.target, d.x, d.y, LINF, rng)
    kept = ((claim.x - d.x).clamp(-0.1, 0.1) + d.x).clamp(0, 1)
    assert int((d.target.predict(kept).argmax(1) != d.y).sum()) > 5


def test_a_report_sets_the_claim_beside_what_is_confirmed(steep, digits_plain):
    import numpy as np

    import hauberk
    from hauberk.core.project import DataSection
    from hauberk.datasets.arrays import Pair, from_arrays

    d = digits_plain
    test = Pair(d.x.numpy(), d.y.numpy())
    data = from_arrays(
        "digits", DataSection(source="digits"), (0.0, 1.0), None, Pair(np.array(test.x), test.y), halves=True
    )
    settings = {"evasion.peer": {"library": "torchattacks", "attack": "Steep", "settings": '{"steps": 3}'}}
    report = hauberk.attack(d.target, data, LINF, attacks=("evasion.peer",), settings=settings, samples=60)
    (headline,) = [
        row for row in report.evidence if getattr(row, "role", "") == "headline" and row.name == "robust_accuracy"
    ]
    called, confirmed = map(int, re.findall(r"called (\d+) samples broken; .* (\d+) are", headline.note)[0])
    assert called > confirmed > 0
    assert headline.value == pytest.approx(1 - confirmed / 60)
