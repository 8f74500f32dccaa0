"""Composite: a pose and a change of values together break more than either, inside what the threat allows."""

from __future__ import annotations

import pytest
import torch

from hauberk.attacks.allowed import allowed
from hauberk.attacks.cascade import assault, choose, title
from hauberk.attacks.evasion.composite import Composite
from hauberk.attacks.evasion.pgd import PGD
from hauberk.attacks.evasion.transform import WorstTransform
from hauberk.core.threat import Ball, Threat, Transform

RANGES = {"rotation": (-8.0, 8.0), "brightness": (-0.1, 0.1), "contrast": (0.8, 1.2)}
BOTH = Threat(name="t", transform=Transform(**RANGES, noise=0.04))
TURNED = Threat(name="t", transform=Transform(**RANGES))
MOVED = Threat(name="t", ball=Ball("linf", 0.04))


def broken(d, attack, threat):
    stream = torch.Generator().manual_seed(0)
    return assault(d.target, (attack,), d.x[:100], d.y[:100], threat, (stream,)).stage > 0


def test_together_they_break_more_than_each(digits_plain):
    d = digits_plain
    both = int(broken(d, Composite(), BOTH).sum())
    assert both > int(broken(d, WorstTransform(), TURNED).sum())
    assert both > int(broken(d, PGD(), MOVED).sum())
    # What breaks without noise breaks with it: poses alone are candidates too.
    assert int(broken(d, WorstTransform(), BOTH).sum()) == int(broken(d, WorstTransform(), TURNED).sum())


def test_candidates_are_inside_and_shown_by_the_examiner(digits_plain, rng):
    d = digits_plain
    x, y = d.x[:20], d.y[:20]
    where = allowed(BOTH, x, (0.0, 1.0))
    candidate = Composite().parameters(d.target, x, y, BOTH, rng)
    assert candidate.shape == where.center.shape
    assert bool(where.contains(candidate).all())
    pose, move = where.parted(candidate)
    assert float(move.abs().max()) <= 0.04
    shown = where.project(candidate)
    assert float((shown - where.poses.project(pose)).abs().max()) <= 0.04 * (1 + 1e-6)
    assert torch.equal(where.project(where.center), x)
    far = torch.cat((candidate[:, : pose.shape[1]] + 100, candidate[:, pose.shape[1] :] + 1), 1)
    assert not where.contains(far).any()
    assert float((where.project(far) - where.poses.project(far[:, : pose.shape[1]])).abs().max()) <= 0.04 * (1 + 1e-6)


def test_a_wanted_class_a_budget_and_few_samples(digits_plain, rng):
    d = digits_plain
    wanted = Threat(name="t", transform=Transform(**RANGES, noise=0.1), target_class=3, queries=60)
    rows = d.y != 3
    found = Composite().run(d.target, d.x[rows][:40], d.y[rows][:40], wanted, rng)
    assert (d.target.predict(found).argmax(1) == 3).any()
    assert Composite().run(d.target, d.x[:0], d.y[:0], BOTH, rng).shape == (0, 1, 8, 8)
    assert Composite().run(d.target, d.x[:5], d.y[:5], TURNED, rng).shape == (5, 1, 8, 8)


def test_noise_below_nothing_is_refused():
    with pytest.raises(ValueError, match="noise"):
        Transform(noise=-0.1)


def test_noise_decides_what_a_threat_is_attacked_with(digits_plain):
    for threat, name in ((BOTH, "evasion.composite"), (TURNED, "evasion.transform")):
        chosen = choose(digits_plain.target, threat, "chw", "quick")
        assert [title(attack) for attack in chosen.attacks] == [name]
