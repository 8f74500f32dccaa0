"""A curve of attacks that look for the nearest error: one search serves every radius."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from hauberk.attacks.engine import Plan, examine
from hauberk.attacks.evasion.ddn import DDN
from hauberk.attacks.evasion.fmn import FMN
from hauberk.core.card import Card
from hauberk.core.evidence import Exhibit, Measurement
from hauberk.numeric.balls import region

D = 12
RADII = (0.02, 0.05, 0.1, 0.2, 0.4)


@dataclass
class Counting:
    """A target that counts the inputs a gradient was taken at."""

    function: object
    spec: object
    gradients: int = 0

    def predict(self, x):
        with torch.no_grad():
            return self.function(x)

    def forward(self, x):
        self.gradients += len(x) if x.requires_grad else 0
        return self.function(x)


@dataclass(frozen=True, slots=True)
class Slanted:
    """Goes every way alike to the ball's border: its errors in l2 are not the nearest."""

    card: ClassVar[Card] = Card(title="Slanted", summary="Slants.", norms=("l2",), inputs=("row",), nearest=True)

    def run(self, target, x, y, threat, rng):
        point = x.clone().requires_grad_(True)
        logits = target.forward(point).gather(1, 1 - y[:, None]) - target.forward(point).gather(1, y[:, None])
        (slope,) = torch.autograd.grad(logits.sum(), point)
        return region(threat.ball, x, target.spec.bounds).project(x + threat.ball.radius * slope.sign() / D**0.5)


def examined(world, stamp, attacks, curve, threat, **plan):
    plane = world.plane()
    target = Counting(plane.function, world.spec_of())
    how = Plan(**{"attacks": attacks, "curve": curve, "chunk": 64, "checks": False, "exhibits": 0, **plan})
    return plane, target, list(examine(target, plane.data, threat, how, stamp=stamp))


def curve_of(rows):
    return {row.radius: row.value for row in rows if isinstance(row, Measurement) and row.role == "curve"}


def one(rows, name, role="headline"):
    (found,) = [row for row in rows if isinstance(row, Measurement) and (row.name, row.role) == (name, role)]
    return found


@pytest.mark.parametrize(("norm", "attack", "scale"), [("linf", FMN(steps=30), 1.0), ("l2", DDN(steps=30), 3.0)])
def test_five_radii_cost_what_one_does_and_meet_the_closed_form(world, stamp, norm, attack, scale):
    radii, threat = tuple(scale * radius for radius in RADII), world.threat(scale * 0.1, norm)
    _, short, _ = examined(world, stamp, (attack,), radii[-1:], threat)
    plane, target, rows = examined(world, stamp, (attack,), radii, threat)
    curve = curve_of(rows)
    assert target.gradients == short.gradients
    assert tuple(curve) == radii
    for radius, value in curve.items():
        assert value == pytest.approx(float(plane.robust(radius, norm).float().mean()), abs=1.5 / 300)
    assert list(curve.values()) == sorted(curve.values(), reverse=True)
    assert curve[scale * 0.1] == one(rows, "robust_accuracy").value == one(rows, "robust_accuracy", "stage").value
    cost = one(rows, "gradients", "diagnostic")
    assert cost.value * 300 == pytest.approx(target.gradients)
    assert "for all radii" in cost.note


def test_a_curve_is_attacked_radius_by_radius_where_an_attack_takes_any_error(world, stamp):
    threat = world.threat(0.1, "l2")
    _, short, _ = examined(world, stamp, (DDN(steps=5), world.Walk()), RADII[-1:], threat)
    _, target, rows = examined(world, stamp, (DDN(steps=5), world.Walk()), RADII, threat)
    assert target.gradients > 1.5 * short.gradients
    assert "at the threat's own radius" in one(rows, "gradients", "diagnostic").note


def test_a_second_attack_finds_nearer_errors_and_is_charged_for_what_it_saw(world, stamp):
    radii, threat = tuple(3 * radius for radius in RADII), world.threat(3 * 0.1, "l2")
    plane, _, rows = examined(world, stamp, (Slanted(), DDN(steps=30)), radii, threat, exhibits=5)
    for radius, value in curve_of(rows).items():
        assert value == pytest.approx(float(plane.robust(radius, "l2").float().mean()), abs=1.5 / 300)
    first, second = [row for row in rows if isinstance(row, Measurement) and row.role == "stage"]
    assert first.value > second.value == one(rows, "robust_accuracy").value
    for row in rows:
        assert not isinstance(row, Exhibit) or row.distance <= 3 * 0.1 * (1 + 1e-6)


def test_a_targeted_curve_counts_only_the_target_class(world, stamp):
    threat = world.threat(0.1, target_class=1)
    plane, _, rows = examined(world, stamp, (FMN(steps=30),), RADII, threat)
    aimed = plane.y == 0
    for radius, value in curve_of(rows).items():
        assert value == pytest.approx(float(plane.robust(radius)[aimed].float().mean()), abs=1.5 / int(aimed.sum()))
