"""Defended targets: hidden gradients are seen through and flagged, and without an adaptive attack nothing is said."""

from __future__ import annotations

import torch

from hauberk.attacks.adaptive import ADAPTIVE, STRONGEST, examine_adaptive
from hauberk.attacks.evasion.pgd import PGD
from hauberk.attacks.trust import FLAT
from hauberk.core.evidence import Measurement, Skipped
from hauberk.core.threat import Patch, Threat
from hauberk.defenses.transforming import Transformation, transformed
from hauberk.numeric.bpda import identity

WALK = (PGD(steps=5, pace=0.5),)
N = 120


def looked(world, stamp, how, target=None, threat=None, **more):
    plane = world.plane(N)
    target = target or world.Smooth(plane.function, world.spec_of())
    defended = transformed(target, "defense", how, torch.Generator().manual_seed(0))
    threat = threat or world.threat(0.2)
    more = {"attacks": WALK, **more}
    return plane, list(examine_adaptive(defended, plane.data, threat, stamp=stamp, **more))


def by_name(found):
    return {row.name: row for row in found if isinstance(row, Measurement) and row.role != "control"}


def test_rounding_hides_the_gradient_and_the_adaptive_attack_finds_the_truth(world, stamp):
    fine = Transformation(lambda x, _: (x * 1000).round() / 1000, stand_in=identity)
    plane, found = looked(world, stamp, fine)
    rows = by_name(found)
    exact = float(plane.robust(0.2).double().mean())
    headline = rows["robust_accuracy"]
    assert abs(headline.value - exact) < 0.02
    assert headline.role == "headline"
    assert headline.n == N
    assert rows["robust_accuracy_adaptive"].value == headline.value
    assert rows["robust_accuracy_non_adaptive"].value > exact + 0.2
    assert rows["robust_accuracy_transfer"].value < exact + 0.02
    assert rows["clean_accuracy"].threat == ""
    failed = {mark.name for mark in rows["robust_accuracy_non_adaptive"].indicators if mark.passed is False}
    assert {FLAT, ADAPTIVE} <= failed
    assert {mark.name: mark.passed for mark in headline.indicators} == {STRONGEST: True}
    assert "lowest" in headline.note
    for name in ("non_adaptive", "transfer", "adaptive", "black_box"):
        row = rows[f"robust_accuracy_{name}"]
        assert row.role == "diagnostic"
        assert row.low <= row.value <= row.high
        assert headline.value <= row.value


def test_a_defense_that_hides_nothing_is_not_accused(world, stamp):
    _, found = looked(world, stamp, Transformation(lambda x, _: x))
    marks = {mark.name: mark.passed for mark in by_name(found)["robust_accuracy_non_adaptive"].indicators}
    assert marks[ADAPTIVE] is True
    assert marks[FLAT] is True


def test_random_noise_is_judged_by_most_answers(world, stamp):
    noisy = Transformation(lambda x, rng: x + 0.3 * torch.randn(x.shape, generator=rng), draws=8)
    plane, found = looked(world, stamp, noisy, checks=False)
    row = by_name(found)["robust_accuracy"]
    assert "at random" in row.note
    assert abs(row.value - float(plane.robust(0.2).double().mean())) < 0.12


def test_without_gradients_everything_is_refused(world, stamp):
    plane = world.plane(N)
    _, found = looked(world, stamp, Transformation(lambda x, _: x), world.Scores(plane.function, world.spec_of()))
    (only,) = found
    assert isinstance(only, Skipped)
    assert only.kind == "power"
    assert "not reported" in only.reason


def test_a_set_the_attacks_do_not_work_in_is_refused(world, stamp):
    threat = Threat(name="sticker", patch=Patch(size=(1, 1)))
    _, found = looked(world, stamp, Transformation(lambda x, _: x), threat=threat, attacks=())
    assert [type(row) for row in found] == [Skipped]


def test_a_failing_target_is_a_skipped(world, stamp):
    plane = world.plane(N)
    target = world.Smooth(plane.function, world.spec_of(), fail_after=5)
    _, found = looked(world, stamp, Transformation(lambda x, _: x), target)
    assert isinstance(found[-1], Skipped)
    assert found[-1].kind == "error"


def test_the_same_seed_gives_the_same_figures(world, stamp):
    noisy = Transformation(lambda x, rng: x + 0.1 * torch.randn(x.shape, generator=rng), draws=2)
    first, second = (looked(world, stamp, noisy, checks=False, samples=40)[1] for _ in range(2))
    assert first == second


def test_a_defense_that_cuts_its_own_gradient_is_judged_by_the_others(world, stamp):
    cut = Transformation(lambda x, _: x.detach(), stand_in=identity)
    _, found = looked(world, stamp, cut)
    rows = by_name(found)
    assert "robust_accuracy_non_adaptive" not in rows
    assert "robust_accuracy_adaptive" in rows
    assert "robust_accuracy" in rows
