"""Attacks by labels alone: near the closed form, inside the budget, at an end whatever the labels say."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from hauberk.attacks.counting import Ledger, view
from hauberk.attacks.evasion.boundary import Boundary
from hauberk.attacks.evasion.geoda import GeoDA
from hauberk.attacks.evasion.hop_skip_jump import HopSkipJump
from hauberk.attacks.evasion.pointwise import Pointwise
from hauberk.attacks.evasion.rays import RayS
from hauberk.attacks.evasion.sign_opt import SignOPT
from hauberk.attacks.evasion.surfree import SurFree
from hauberk.core.errors import UsageError
from hauberk.core.protocols import TargetSpec
from hauberk.core.threat import Ball, Threat
from hauberk.numeric.balls import size

SHAPE = (1, 6, 6)
CASES = [
    (Boundary, "l2"),
    (GeoDA, "linf"),
    (GeoDA, "l2"),
    (GeoDA, "l1"),
    (HopSkipJump, "linf"),
    (HopSkipJump, "l2"),
    (Pointwise, "l0"),
    (Pointwise, "l1"),
    (RayS, "linf"),
    (SignOPT, "l2"),
    (SurFree, "l2"),
]


class Labels:
    """A linear model of some classes that tells labels only, and counts what each batch asks."""

    def __init__(self, weight: torch.Tensor, shape: tuple[int, ...] = SHAPE) -> None:
        self.weight, self.asked = weight, 0
        self.spec = TargetSpec(
            name="m", kind="t", shape=shape, classes=len(weight), bounds=(-3.0, 3.0), answers="labels"
        )

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        assert torch.isfinite(x).all()
        assert float(x.abs().max()) <= 3.0
        self.asked += len(x)
        found = (x.flatten(1) @ self.weight.T).argmax(1)
        return torch.nn.functional.one_hot(found, len(self.weight)).float()

    def classes(self, x: torch.Tensor) -> torch.Tensor:
        return (x.flatten(1) @ self.weight.T).argmax(1)


@pytest.fixture(scope="module")
def plane():
    """Two classes parted by a plane, far from the bounds: inputs, labels, and the exact distance in each norm."""
    rng = torch.Generator().manual_seed(3)
    normal = torch.randn(36, generator=rng)
    x = 0.3 * torch.randn(30, *SHAPE, generator=rng)
    model = Labels(torch.stack((-normal, normal)) / 2)
    margin = (x.flatten(1) @ normal).abs()
    exact = {"linf": margin / normal.abs().sum(), "l2": margin / normal.norm(), "l1": margin / normal.abs().max()}
    return x, model.classes(x), model.weight, exact


def threat(norm, radius, **more):
    return Threat(name="t", knowledge="decision", ball=Ball(norm, radius), **more)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def ids(case):
    return f"{case[0].__name__}-{case[1]}"


@pytest.mark.parametrize("start", ["data", "noise"])
@pytest.mark.parametrize(
    ("attack", "norm", "within"),
    [
        (Boundary, "l2", 1.25),
        (partial(GeoDA, share=1.0), "linf", 1.25),
        (partial(GeoDA, share=1.0), "l2", 1.1),
        (partial(GeoDA, share=1.0), "l1", 1.3),
        (SignOPT, "l2", 1.1),
        (partial(SurFree, share=1.0), "l2", 1.1),
    ],
)
def test_comes_near_the_closed_form_and_never_below(plane, attack, norm, within, start):
    x, y, weight, exact = plane
    found = attack(queries=2500, start=start, early_stop=False).run(Labels(weight), x, y, threat(norm, 200.0), seeded())
    assert bool((Labels(weight).classes(found) != y).all())
    clear = exact[norm] > 0.02
    ratio = (size(found - x, norm) / exact[norm])[clear]
    assert float(ratio.median()) < within
    assert float(ratio.min()) > 0.99


def test_rays_finds_every_sign_where_each_value_counts_alone(plane):
    x, y, weight, exact = plane
    found = RayS(queries=1500, early_stop=False).run(Labels(weight), x, y, threat("linf", 6.0), seeded())
    assert bool((Labels(weight).classes(found) != y).all())
    assert torch.allclose(size(found - x, "linf"), exact["linf"], rtol=0.1, atol=0.02)


def test_pointwise_leaves_no_change_that_is_not_needed(plane):
    x, y, weight, _ = plane
    model = Labels(weight)
    found = Pointwise(queries=2500, early_stop=False).run(model, x, y, threat("l0", 36), seeded())
    assert bool((model.classes(found) != y).all())
    for row in range(len(x)):
        for place in (found[row] != x[row]).nonzero():
            undone = found[row].clone()
            undone[tuple(place)] = x[row][tuple(place)]
            assert model.classes(undone.unsqueeze(0)) == y[row]


def test_pointwise_gives_back_parts_of_changes_in_l1(plane):
    x, y, weight, exact = plane
    l0 = Pointwise(queries=2500, early_stop=False).run(Labels(weight), x, y, threat("l0", 36), seeded())
    l1 = Pointwise(queries=2500, early_stop=False).run(Labels(weight), x, y, threat("l1", 200.0), seeded())
    assert float(size(l1 - x, "l1").mean()) < 0.9 * float(size(l0 - x, "l1").mean())
    assert bool((size(l1 - x, "l1") >= exact["l1"] * 0.99).all())


@pytest.mark.parametrize("queries", [0, 1, 2, 17, 60, 150])
@pytest.mark.parametrize("case", CASES, ids=ids)
def test_no_sample_costs_more_than_its_budget(plane, case, queries):
    attack, norm = case
    x, y, weight, _ = plane
    ledger = Ledger(limit=queries * len(x))
    found = attack(queries=9999).run(
        view(Labels(weight), "decision", ledger), x, y, threat(norm, 1e-3, queries=queries), seeded()
    )
    assert ledger.queries <= queries * len(x)
    alone = Labels(weight)
    attack(queries=queries).run(alone, x[:1], y[:1], threat(norm, 1e-3), seeded())
    assert alone.asked <= queries
    assert float(size(found - x, norm).max()) <= 1e-3


@pytest.mark.parametrize("case", CASES, ids=ids)
@pytest.mark.parametrize("answer", ["wrong", "constant", "mixed", "random"])
def test_it_ends_without_nan_whatever_the_labels(plane, case, answer):
    attack, norm = case
    x, y, weight, _ = plane
    model, labels = Labels(weight), y
    if answer == "constant":  # nothing is ever an error: no first one can be found
        model, labels = Labels(torch.zeros(2, 36)), torch.zeros_like(y)
    elif answer == "random":  # no boundary at all
        rng = seeded(5)
        model.predict = lambda x: torch.rand(len(x), 2, generator=rng)
    elif answer == "wrong":
        labels = 1 - y
    else:
        labels = torch.where(torch.arange(len(y)) % 2 == 0, y, 1 - y)
    found = attack(queries=150, early_stop=False).run(model, x, labels, threat(norm, 50.0), seeded())
    assert bool(torch.isfinite(found).all())
    if answer == "constant":
        assert torch.equal(found, x), "unbroken"
    elif answer != "random":
        already = y != labels
        assert torch.equal(found[already], x[already]), "who errs already stays where he is"


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_a_target_class_is_reached(case):
    attack, norm = case
    weight = torch.randn(3, 36, generator=seeded(4))
    x = 0.3 * torch.randn(30, *SHAPE, generator=seeded(6))
    model = Labels(weight)
    y = model.classes(x)
    x, y = torch.cat((x[y != 2], x[y == 2][:1])), torch.cat((y[y != 2], y[y == 2][:1]))
    found = attack(queries=800).run(model, x, y, threat(norm, 36.0, target_class=2), seeded())
    assert float((model.classes(found) == 2).float().mean()) > 0.9


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_a_sample_leaves_once_its_error_lies_in_the_ball(plane, case):
    attack, norm = case
    x, y, weight, _ = plane
    early, late = Labels(weight), Labels(weight)
    radius = {"linf": 1.0, "l2": 5.0, "l1": 30.0, "l0": 33}[norm]
    found = attack(queries=600).run(early, x, y, threat(norm, radius), seeded())
    attack(queries=600, early_stop=False).run(late, x, y, threat(norm, radius), seeded())
    assert bool((early.classes(found) != y).all())
    assert early.asked < late.asked / 2


@pytest.mark.parametrize("case", [case for case in CASES if case[0] is not RayS], ids=ids)
def test_rows_of_a_table_are_inputs_too(plane, case):
    attack, norm = case
    x, y, weight, _ = plane
    flat, model = x.flatten(1), Labels(weight, (36,))
    found = attack(queries=300, early_stop=False).run(model, flat, y, threat(norm, 100.0), seeded())
    assert found.shape == flat.shape
    assert bool((model.classes(found) != y).all())


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_another_ball_is_refused(plane, case):
    attack, _ = case
    x, y, weight, _ = plane
    other = "l0" if attack is not Pointwise else "l2"
    with pytest.raises(UsageError, match=other):
        attack().run(Labels(weight), x, y, threat(other, 1.0), seeded())
