"""Every detector tells plain attacks from clean digits, shows a slope of its score, and refuses what it cannot."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import torch

from hauberk.attacks.evasion.pgd import PGD
from hauberk.attacks.examining_detection import examine_detection
from hauberk.core.defending import Detection
from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.evidence import Measurement
from hauberk.core.plugins import build, catalog
from hauberk.core.progress import Silent
from hauberk.core.protocols import Split, TargetSpec
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.roc import area

THREAT = Threat(name="pixels", ball=Ball("linf", 0.25))
NAMES = [
    row.name.removeprefix("detection.")
    for row in catalog("defenses")
    if row.name.startswith("detection.") and row.name != "detection.strip"  # which is for triggers, not for errors
]
LEAST = {"feature_squeezing": 0.55, "magnet": 0.7}
"""Area against attacks made without regard to the detector; 0.75 for the others. 8 × 8 pixels are soon gone."""


def fitted(name, target, data, ascent, seed=0):
    detection = cast(Detection, build("defenses", f"detection.{name}"))
    rng = torch.Generator().manual_seed(seed)
    return detection.fit(target, data, THREAT, rng, attack=ascent, progress=Silent())


@pytest.fixture(scope="module")
def attacked(target, digits):
    x, y = (torch.from_numpy(np.array(part[:200])) for part in digits.test)
    walk = PGD(steps=20)
    found = walk.run(target, x, y, THREAT, torch.Generator().manual_seed(9))
    return x, found[target.predict(found).argmax(1) != y]


@pytest.mark.parametrize("name", NAMES)
def test_it_tells_attacks_from_clean_inputs(name, target, digits, ascent, attacked):
    clean, wrong = attacked
    detector = fitted(name, target, digits.train, ascent)
    assert area(detector.score(wrong), detector.score(clean)).value > LEAST.get(name, 0.75)
    scores = detector.score(clean)
    assert scores.shape == (len(clean),)
    assert torch.allclose(detector.suspicion(clean[:9]).detach(), scores[:9], rtol=1e-3, atol=1e-3)
    assert detector.score(clean[:0]).shape == (0,)
    point = wrong[:16].clone().requires_grad_()
    (slope,) = torch.autograd.grad(detector.suspicion(point).sum(), point)
    assert bool((slope.flatten(1).abs().amax(1) > 0).any())
    lower = (point - 1e-3 * slope / slope.abs().amax().clamp(min=1e-9)).detach()
    if name != "feature_squeezing":  # rounding moves in leaps
        assert float(detector.suspicion(lower).sum()) < float(detector.suspicion(point).sum())


@pytest.mark.parametrize("name", ["mahalanobis", "lid"])
def test_the_same_seed_gives_the_same_detector(name, target, digits, ascent, attacked):
    first, second = (fitted(name, target, digits.train, ascent, seed=3).score(attacked[0][:20]) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", ["mahalanobis", "binary_activation"])
def test_the_adaptive_attack_lowers_the_figure(name, target, digits, ascent, stamp):
    detection = cast(Detection, build("defenses", f"detection.{name}"))
    found = examine_detection(target, digits, detection, ascent, THREAT, stamp=stamp, most=60, steps=30)
    rows = {row.name: row for row in found if isinstance(row, Measurement)}
    assert rows["detection_auc"].value < rows["detection_auc_plain"].value - 0.1


@pytest.mark.parametrize("name", [name for name in NAMES if name != "feature_squeezing"])
def test_too_little_data_is_refused(name, target, digits, ascent):
    with pytest.raises(UsageError, match=r"too few|fewer"):
        fitted(name, target, Split(digits.train.x[:9], digits.train.y[:9]), ascent)


class Idle:
    def run(self, target, x, y, threat, rng):
        return x.clone()


@pytest.mark.parametrize("name", ["lid", "binary_input", "binary_activation"])
def test_an_attack_that_breaks_nothing_teaches_nothing(name, target, digits):
    with pytest.raises(UsageError, match="too few to learn from"):
        fitted(name, target, digits.train, Idle())


class Labels:
    spec = TargetSpec(name="labels", kind="test", shape=(1, 8, 8), classes=10, bounds=(0.0, 1.0), answers="labels")

    def predict(self, x):
        return torch.eye(10)[torch.zeros(len(x), dtype=torch.long)]


@pytest.mark.parametrize("name", ["mahalanobis", "lid", "knn", "binary_activation", "feature_squeezing", "magnet"])
def test_a_label_only_target_lacks_what_they_need(name, digits, ascent):
    with pytest.raises(MissingPower):
        fitted(name, Labels(), Split(digits.train.x[:100], digits.train.y[:100]), ascent)
