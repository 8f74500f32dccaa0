"""Detectors are judged under an attack on them; where there can be none, nothing is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from hauberk.attacks.adaptive_detection import evade
from hauberk.attacks.examining_detection import WORSE, examine_detection
from hauberk.core.card import Card
from hauberk.core.errors import MissingPower
from hauberk.core.evidence import Measurement, Skipped
from hauberk.core.protocols import Split, TargetSpec
from hauberk.core.schema import DatasetSpec
from hauberk.core.threat import Ball, Patch, Threat
from hauberk.numeric.balls import region

THREAT = Threat(name="t", ball=Ball("linf", 0.5))
SPEC = TargetSpec(name="plane", kind="test", shape=(2,), classes=2, bounds=(-2.0, 2.0))


class Plane:
    """Class 1 where x₀ > 0; x₁ means nothing to it."""

    spec = SPEC

    def forward(self, x):
        return torch.stack((-x[:, 0], x[:, 0]), 1)

    def predict(self, x):
        with torch.no_grad():
            return self.forward(x)


class ScoresOnly:
    spec = SPEC

    def predict(self, x):
        return torch.stack((-x[:, 0], x[:, 0]), 1)


class Away:
    """Suspects what lies off x₁ = 0, where all clean samples lie."""

    def score(self, x):
        return x[:, 1].abs()

    def suspicion(self, x):
        return x[:, 1].abs()


class Flat(Away):
    def suspicion(self, x):
        return 0 * x[:, 0]


class Cut(Away):
    def suspicion(self, x):
        return x[:, 1].detach().abs()


@dataclass(frozen=True)
class Given:
    """A detection plug-in that gives a detector made beforehand."""

    card: ClassVar[Card] = Card(title="given", summary="given")
    detector: object = None

    def fit(self, target, data, threat, rng, *, attack, progress):
        return self.detector


@dataclass(frozen=True)
class Careless:
    """Goes over the border, and up as well, which a detector of x₁ sees."""

    card: ClassVar[Card] = Card(title="careless", summary="careless")

    def run(self, target, x, y, threat, rng):
        side = torch.where(y == 1, -0.5, 0.5)
        return x + torch.stack((side, torch.full_like(side, 0.4)), 1)


@dataclass
class Data:
    train: Split
    test: Split
    spec: DatasetSpec


def data(n: int = 400) -> Data:
    rng = np.random.default_rng(0)
    x = np.stack((rng.uniform(-0.45, 0.45, n), rng.normal(0, 0.02, n)), 1).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    spec = DatasetSpec(
        name="d", layout="row", shape=(2,), classes=("0", "1"), digest="", bounds=(-2.0, 2.0), train=n // 2, test=n // 2
    )
    return Data(Split(x[: n // 2], y[: n // 2]), Split(x[n // 2 :], y[n // 2 :]), spec)


def found(stamp, detector, target=None, threat=THREAT, rows=None):
    rows = rows or data()
    return list(examine_detection(target or Plane(), rows, Given(detector), Careless(), threat, stamp=stamp, steps=40))


def test_a_detector_that_sees_the_plain_attack_is_blind_to_the_one_on_it(stamp):
    rows = {row.name: row for row in found(stamp, Away()) if isinstance(row, Measurement) and row.role != "curve"}
    assert rows["detection_auc_plain"].value == 1.0
    assert rows["detection_tpr_at_5pct_fpr_plain"].value == 1.0
    assert rows["detection_auc"].value < 0.6
    assert rows["detection_tpr_at_5pct_fpr"].value < 0.1
    assert rows["undetected_error"].value > 0.9
    assert rows["undetected_error"].better == "lower"
    assert [mark.passed for mark in rows["detection_auc_plain"].indicators if mark.name == WORSE] == [False]
    assert rows["detection_auc"].role == "headline"
    assert rows["detection_auc_plain"].role == "diagnostic"
    for row in rows.values():
        assert row.low <= row.value <= row.high


@pytest.mark.parametrize("detector", [Flat(), Cut()])
def test_a_detector_without_a_slope_is_refused(stamp, detector):
    (only,) = found(stamp, detector)
    assert isinstance(only, Skipped)
    assert only.kind == "power"


def test_a_target_without_gradients_is_refused(stamp):
    (only,) = found(stamp, Away(), ScoresOnly())
    assert isinstance(only, Skipped)
    assert "not reported" in only.reason


def test_other_sets_few_errors_and_no_data_are_said(stamp):
    (sticker,) = found(stamp, Away(), threat=Threat(name="s", patch=Patch((1, 1))))
    assert isinstance(sticker, Skipped)
    none = found(stamp, Away(), threat=Threat(name="t", ball=Ball("linf", 1e-5)))
    assert "nothing to be noticed" in none[0].reason
    rows = data()
    empty = Data(rows.train, Split(rows.test.x[:0], rows.test.y[:0]), rows.spec)
    assert isinstance(found(stamp, Away(), rows=empty)[0], Skipped)


def test_few_clean_samples_cannot_show_a_small_rate(stamp):
    skipped = [row for row in found(stamp, Away(), rows=data(80)) if isinstance(row, Skipped)]
    assert any("cannot show" in row.reason for row in skipped)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_what_evades_stays_in_the_ball_errs_and_is_unseen(norm):
    x = torch.tensor([[0.2, 0.01], [-0.3, -0.02]])
    y = torch.tensor([1, 0])
    where = region(Ball(norm, 0.5), x, (-2.0, 2.0))
    start = where.project(x + torch.tensor([[-0.4, 0.3], [0.4, 0.3]]))
    done = evade(Plane(), Away(), where, y, (start, x), steps=60)
    assert bool(where.contains(done.x).all())
    assert bool((Plane().predict(done.x).argmax(1) != y).all())
    assert float(done.suspicion.max()) < 0.01


def test_evading_needs_a_slope():
    x = torch.zeros(1, 2)
    with pytest.raises(MissingPower):
        evade(Plane(), Cut(), region(Ball("linf", 0.5), x, (-2.0, 2.0)), torch.tensor([1]), (x,), steps=2)
