"""Networks are certified below what attacks leave; what has no bounds is named, and nobody's privacy is needed."""

from __future__ import annotations

import copy

import msgspec
import pytest
import torch
from torch import nn

from hauberk.attacks.certifying_any import certificates
from hauberk.attacks.certifying_networks import boundable, examine_bounded
from hauberk.attacks.evasion.pgd import PGD
from hauberk.core.evidence import Measurement, Skipped
from hauberk.core.protocols import TargetSpec
from hauberk.core.threat import Ball, Threat
from hauberk.targets import from_torch


def ball(radius, norm="linf", **more):
    return Threat(name="t", ball=Ball(norm, radius), **more)


@pytest.fixture(scope="module")
def target(digits):
    """A small net trained with decay, which leaves something to prove."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))
    x, y = torch.tensor(digits.train.x), torch.tensor(digits.train.y)
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3, weight_decay=1.0)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    return from_torch(net.eval(), (0, 1))


def only(target, digits, threat, stamp, **more):
    (found,) = certificates(target, digits, threat, stamp=stamp, seed=3, samples=more.get("samples", 100))
    return found


@pytest.mark.parametrize(("norm", "radius"), [("linf", 0.03), ("l2", 0.3)])
def test_what_is_proven_no_attack_breaks(target, digits, stamp, norm, radius):
    found = only(target, digits, ball(radius, norm), stamp)
    assert isinstance(found, Measurement)
    assert found.name == "certified_accuracy"
    assert found.value > 0.5
    assert found.low < found.value < found.high
    assert "lower bound" in found.note
    assert (found.norm, found.radius) == (norm, radius)
    x, y = torch.tensor(digits.test.x[:300]), torch.tensor(digits.test.y[:300])
    walked = PGD(steps=20).run(target, x, y, ball(radius, norm), torch.Generator().manual_seed(0))
    robust = float((target.predict(walked).argmax(1) == y).float().mean())
    assert found.low <= robust


def test_a_larger_ball_proves_less(target, digits, stamp):
    figures = [only(target, digits, ball(radius), stamp).value for radius in (0.01, 0.05, 0.5)]
    assert figures[0] > figures[1] > figures[2] == 0


def test_a_wanted_class_is_harder_to_reach(target, digits, stamp):
    any_error = only(target, digits, ball(0.06), stamp).value
    assert only(target, digits, ball(0.06, target_class=0), stamp).value >= any_error


def test_an_operation_without_bounds_is_named(digits, stamp):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.GELU(), nn.Linear(8, 10))
    found = only(from_torch(net.eval(), (0, 1)), digits, ball(0.1), stamp)
    assert isinstance(found, Skipped)
    assert "gelu" in found.reason


def test_other_targets_and_sets_are_none_of_its_business(target, digits, digits_net, stamp):
    assert not boundable(target, ball(3, "l0"))
    assert not boundable(digits_net, ball(0.1))
    assert list(certificates(digits_net, digits, ball(0.1), stamp=stamp, seed=0, samples=5)) == []
    assert isinstance(examine_bounded(digits_net, digits, ball(0.1), stamp=stamp), Skipped)


def test_no_samples_and_huge_networks_are_skipped(target, digits, stamp, monkeypatch):
    empty = copy.copy(digits)
    empty.test = type(digits.test)(digits.test.x[:0], digits.test.y[:0])
    assert isinstance(examine_bounded(target, empty, ball(0.1), stamp=stamp), Skipped)
    monkeypatch.setattr("hauberk.attacks.certifying_networks.VALUES", 10)
    assert "intermediate values" in only(target, digits, ball(0.1), stamp).reason
    monkeypatch.undo()
    monkeypatch.setattr("hauberk.attacks.certifying_networks.WORK", -1)
    assert "too dear" in only(target, digits, ball(0.1), stamp).note


class Sure:
    """A target that proves what it is told to."""

    def __init__(self, share):
        spec = TargetSpec(name="sure", kind="test", shape=(1, 8, 8), classes=10, bounds=(0.0, 1.0))
        self.spec, self.share = msgspec.structs.replace(spec), share

    def predict(self, x):
        return torch.zeros(len(x), 10)

    def certifies(self, threat):
        return threat.ball is not None

    def certify(self, x, y, threat, rng):
        from hauberk.core.defending import Proof

        return Proof(torch.arange(len(x)) < self.share * len(x), 0.001, "by word of mouth")


def test_a_target_that_certifies_itself_is_asked(digits, stamp):
    found = only(Sure(0.5), digits, ball(0.1), stamp)
    assert found.value == pytest.approx(0.5)
    assert "by word of mouth" in found.note
    assert "0.001" in found.note
