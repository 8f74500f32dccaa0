"""What is proven on trees lies below what attacks leave standing, and on one tree both meet."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier

from hauberk.attacks import certifying
from hauberk.attacks.certifying import certifiable, examine_certified
from hauberk.attacks.evasion.tree_coordinates import TreeCoordinates
from hauberk.core.evidence import Skipped
from hauberk.core.protocols import Split
from hauberk.core.provenance import Stamp
from hauberk.core.schema import DatasetSpec
from hauberk.core.threat import Ball, Threat
from hauberk.targets import from_callable, from_sklearn

STAMP = Stamp(clock=lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC))


class Data:
    def __init__(self, x, y):
        self.train, self.test = Split(x[:300], y[:300]), Split(x[300:], y[300:])
        self.spec = DatasetSpec(
            name="d", layout="row", shape=(5,), classes=("a", "b"), digest="", bounds=(0.0, 1.0), train=300, test=100
        )


@pytest.fixture(scope="module")
def data():
    x, y = make_classification(400, 5, n_informative=4, n_redundant=0, random_state=1)
    return Data(((x - x.min(0)) / (x.max(0) - x.min(0))).astype(np.float32), y.astype(np.int64))


def robust(target, data, threat):
    x, y = torch.from_numpy(data.test.x), torch.from_numpy(data.test.y)
    found = TreeCoordinates().run(target, x, y, threat, torch.Generator().manual_seed(0))
    return float((target.predict(found).argmax(1) == y).float().mean())


@pytest.mark.parametrize("norm", ["linf", "l1"])
def test_the_truth_lies_between_proof_and_attack(data, norm):
    threat = Threat(name="t", ball=Ball(norm, 0.04))
    model = GradientBoostingClassifier(n_estimators=10, random_state=0).fit(*data.train)
    target = from_sklearn(model, (0.0, 1.0))
    figure = examine_certified(target, data, threat, stamp=STAMP)
    assert (figure.name, figure.n, figure.norm, figure.radius) == ("certified_accuracy", 100, norm, 0.04)
    assert 0.1 < figure.value <= robust(target, data, threat)
    assert figure.low < figure.value < figure.high
    loose = examine_certified(target, data, threat, stamp=STAMP, merges=0)
    assert loose.value <= figure.value


def test_on_one_tree_proof_and_attack_meet(data):
    threat = Threat(name="t", ball=Ball("linf", 0.05))
    target = from_sklearn(DecisionTreeClassifier(max_depth=6, random_state=0).fit(*data.train), (0.0, 1.0))
    figure = examine_certified(target, data, threat, stamp=STAMP)
    assert 0 <= robust(target, data, threat) - figure.value < 0.05, "apart only where a leaf is a tie"


def test_what_has_no_trees_or_too_many_leaves_is_not_proven(data, monkeypatch):
    threat = Threat(name="t", ball=Ball("linf", 0.05))
    target = from_sklearn(DecisionTreeClassifier(random_state=0).fit(*data.train), (0.0, 1.0))
    assert certifiable(target, threat)
    assert not certifiable(from_callable(lambda x: x[:, :2], (5,), 2, (0.0, 1.0)), threat)
    assert not certifiable(target, Threat(name="m", family="privacy"))
    monkeypatch.setattr(certifying, "LEAVES", 4)
    assert isinstance(examine_certified(target, data, threat, stamp=STAMP), Skipped)
