"""Square, HopSkipJump and the constrained search against closed forms, budgets, and random search."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.ensemble import GradientBoostingClassifier

from hauberk.attacks.counting import Ledger, view
from hauberk.attacks.evasion.constrained_search import ConstrainedSearch
from hauberk.attacks.evasion.hop_skip_jump import HopSkipJump
from hauberk.attacks.evasion.square import Square
from hauberk.core.errors import UsageError
from hauberk.core.protocols import TargetSpec
from hauberk.core.schema import Column
from hauberk.core.threat import Ball, Constraints, Threat
from hauberk.numeric.balls import size
from hauberk.numeric.rows import rows

SHAPE = (1, 6, 6)


class Model:
    def __init__(self, function, shape=SHAPE, classes=2, bounds=(-3.0, 3.0), answers="logits"):
        self.function = function
        self.spec = TargetSpec(name="m", kind="t", shape=shape, classes=classes, bounds=bounds, answers=answers)
        self.seen = []

    def predict(self, x):
        assert torch.isfinite(x).all()
        self.seen.append(len(x))
        return self.function(x)


@pytest.fixture(scope="module")
def plane():
    """A linear binary model on images and the exact distance of each sample to its boundary, far from the bounds."""
    rng = torch.Generator().manual_seed(3)
    weight = torch.randn(36, generator=rng)
    x = 0.3 * torch.randn(40, *SHAPE, generator=rng)

    def function(x):
        z = x.flatten(1) @ weight
        return torch.stack((-z, z), 1) / 2

    margin = x.flatten(1) @ weight
    return (
        x,
        (margin > 0).long(),
        function,
        {"linf": margin.abs() / weight.abs().sum(), "l2": margin.abs() / weight.norm()},
    )


def threat(norm, radius, **more):
    return Threat(name="t", ball=Ball(norm, radius), **more)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_square_breaks_what_is_well_inside_the_closed_form_and_nothing_outside(plane, norm):
    x, y, function, exact = plane
    radius = float(exact[norm].median())
    found = Square(queries=1500).run(Model(function), x, y, threat(norm, radius), seeded())
    broken = function(found).argmax(1) != y
    assert not bool(broken[exact[norm] > radius * 1.001].any())
    near = exact[norm] < radius * (0.85 if norm == "linf" else 0.6)
    assert float(broken[near].float().mean()) > 0.9


def test_more_queries_break_more_and_a_broken_sample_costs_no_more(plane):
    x, y, function, exact = plane
    radius = float(exact["linf"].median())
    broken = []
    for queries in (5, 50, 1000):
        model = Model(function)
        found = Square(queries=queries).run(model, x, y, threat("linf", radius), seeded())
        broken.append(int((function(found).argmax(1) != y).sum()))
        assert sum(model.seen) < queries * len(x), "some left early"
    assert broken[0] < broken[1] < broken[2]


@pytest.mark.parametrize("attack", [Square(queries=2000), HopSkipJump(queries=2000)])
@pytest.mark.parametrize("queries", [0, 1, 2, 37, 150])
def test_the_budget_of_a_sample_is_never_passed(plane, attack, queries):
    x, y, function, _ = plane
    ledger = Ledger(limit=queries * len(x))
    found = attack.run(view(Model(function), "white-box", ledger), x, y, threat("l2", 1e-4, queries=queries), seeded())
    assert ledger.queries <= queries * len(x)
    assert float(size(found - x, "l2").max()) <= 1e-4


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("start", ["data", "noise"])
def test_hop_skip_jump_comes_near_the_closed_form_by_labels_alone(plane, norm, start):
    x, y, function, exact = plane
    labels = Model(lambda x: torch.nn.functional.one_hot(function(x).argmax(1), 2).float(), answers="labels")
    attack = HopSkipJump(queries=3000, start=start, early_stop=False)
    found = attack.run(labels, x, y, threat(norm, 50.0), seeded())
    assert bool((function(found).argmax(1) != y).all())
    clear = exact[norm] > 0.02
    ratio = (size(found - x, norm) / exact[norm])[clear]
    assert float(ratio.median()) < 1.15
    assert float(ratio.min()) > 0.99


def test_hop_skip_jump_leaves_a_sample_once_it_is_in_the_ball(plane):
    x, y, function, exact = plane
    radius = float(exact["l2"].max()) * 3
    model, slow = Model(function), Model(function)
    found = HopSkipJump(queries=3000).run(model, x, y, threat("l2", radius), seeded())
    HopSkipJump(queries=3000, early_stop=False).run(slow, x, y, threat("l2", radius), seeded())
    assert bool((function(found).argmax(1) != y).all())
    assert sum(model.seen) < sum(slow.seen) / 4


@pytest.mark.parametrize("answer", ["wrong", "constant", "mixed"])
def test_hop_skip_jump_ends_without_nan_whatever_the_labels(plane, answer):
    x, y, function, _ = plane
    if answer == "constant":  # nothing is ever an error: no first error can be found
        model, labels = Model(lambda x: torch.tensor([1.0, 0.0]).expand(len(x), 2)), torch.zeros_like(y)
    else:
        model, labels = (
            Model(function),
            (1 - y if answer == "wrong" else torch.where(torch.arange(40) % 2 == 0, y, 1 - y)),
        )
    found = HopSkipJump(queries=400).run(model, x, labels, threat("l2", 0.5), seeded())
    assert bool(torch.isfinite(found).all())
    already = model.predict(x).argmax(1) != labels
    assert torch.equal(found[already], x[already]), "who errs already stays where he is"
    assert sum(model.seen) <= 401 * len(x)


@pytest.mark.parametrize("attack", [Square(queries=600), HopSkipJump(queries=1500)])
def test_a_target_class_is_reached(attack):
    rng = seeded(4)
    weight = torch.randn(3, 36, generator=rng)
    x = 0.3 * torch.randn(30, *SHAPE, generator=rng)
    model = Model(lambda x: x.flatten(1) @ weight.T, classes=3)
    y = model.predict(x).argmax(1)
    x, y = x[y != 2], y[y != 2]
    found = attack.run(model, x, y, threat("linf", 0.5, target_class=2), seeded())
    assert float((model.predict(found).argmax(1) == 2).float().mean()) > 0.9


@pytest.mark.parametrize("attack", [Square(), HopSkipJump(), ConstrainedSearch()])
def test_a_threat_of_another_kind_is_refused(attack, plane):
    x, y, function, _ = plane
    with pytest.raises(UsageError):
        attack.run(Model(function), x, y, threat("l0", 1.0), seeded())


# --- tables

COLUMNS = (
    *(Column(name=f"n{i}", kind="integer", low=0, high=19, immutable=i == 0) for i in range(4)),
    Column(name="grows", kind="integer", low=0, high=19, direction="up"),
    Column(name="kind", kind="categorical", categories=("a", "b", "c", "d")),
    *(Column(name=f"x{i}", low=-10, high=10, immutable=i == 0) for i in range(4)),
    *(Column(name=f"g{i}", kind="boolean", group="g") for i in range(3)),
)


@pytest.fixture(scope="module")
def boosted():
    """A gradient-boosted model on a table where several columns count, and rows it gets right."""
    rng = np.random.default_rng(0)
    n = 900
    whole, kind, real = rng.integers(0, 20, (n, 5)), rng.integers(0, 4, (n, 1)), rng.normal(0, 3, (n, 4))
    x = np.concatenate([whole, kind, real, np.eye(3)[rng.integers(0, 3, n)]], 1).astype(np.float32)
    score = np.sin(x[:, 1] / 3) + 0.1 * x[:, 4] + (x[:, 5] == 2) + 0.4 * x[:, 6] + np.cos(x[:, 7])
    score = score + 0.3 * x[:, 11] + 0.05 * x[:, 2] * np.sign(x[:, 8])
    y = (score > np.median(score)).astype(np.int64)
    trees = GradientBoostingClassifier(random_state=0, n_estimators=60).fit(x[:700], y[:700])
    model = Model(
        lambda rows: torch.tensor(trees.predict_proba(rows.numpy()), dtype=torch.float32),
        shape=(13,),
        bounds=(-10.0, 20.0),
        answers="probabilities",
    )
    clean, labels = torch.tensor(x[700:]), torch.tensor(y[700:])
    right = model.predict(clean).argmax(1) == labels
    return model, clean[right], labels[right]


def table_threat(changed, queries):
    return Threat(
        name="t", knowledge="score", queries=queries, constraints=Constraints(columns=COLUMNS, changed=changed)
    )


@pytest.mark.parametrize("changed", [1, 2, 3])
def test_the_search_beats_random_search_at_an_equal_budget_and_stays_in_the_set(boosted, changed):
    model, x, y = boosted
    before = x.clone()
    model.seen.clear()
    threat = table_threat(changed, 150)
    found = ConstrainedSearch().run(model, x, y, threat, seeded())
    assert sum(model.seen) <= 150 * len(x)
    where = rows(threat.constraints, x, model.spec.bounds)
    assert bool(where.contains(found).all())
    assert torch.equal(x, before)
    broken = int((model.predict(found).argmax(1) != y).sum())
    wrong, rng = torch.zeros(len(x), dtype=torch.bool), seeded(1)
    for _ in range(150):
        wrong |= model.predict(where.scatter(rng)).argmax(1) != y
    assert broken > int(wrong.sum()) * (1.0 if changed == 1 else 1.08)
    assert torch.equal(found, ConstrainedSearch().run(model, x, y, threat, seeded())), "the seed decides"


def test_the_best_single_change_is_found_where_it_is_known():
    """One column decides, by one threshold: the search must find it for every row that may cross it."""
    columns = (Column(name="a", kind="integer", low=0, high=100), Column(name="b", low=0.0, high=1.0))

    def function(x):
        z = (x[:, 0] - 91).clamp(-1, 1)
        return torch.stack((-z, z), 1)

    model = Model(function, shape=(2,), bounds=(0, 100))
    x = torch.stack((torch.arange(0, 80, 4).float(), torch.rand(20, generator=seeded())), 1)
    threat = Threat(name="t", constraints=Constraints(columns=columns, changed=1), queries=80)
    found = ConstrainedSearch().run(model, x, torch.zeros(20, dtype=torch.long), threat, seeded())
    assert bool((found[:, 0] > 91).all())
    assert torch.equal(found[:, 1], x[:, 1])


def test_nothing_may_change_and_labels_alone(boosted):
    model, x, y = boosted
    frozen = tuple(Column(name=column.name, immutable=True) for column in COLUMNS)
    threat = Threat(name="t", constraints=Constraints(columns=frozen))
    assert torch.equal(ConstrainedSearch().run(model, x, y, threat, seeded()), x)
    labels = view(model, "decision", Ledger(limit=60 * len(x)))
    found = ConstrainedSearch().run(labels, x, y, table_threat(3, 60), seeded())
    assert float((model.predict(found).argmax(1) != y).float().mean()) > 0.3


def test_a_canvas_of_odd_sizes():
    for shape in ((3, 1, 1), (1, 2, 7), (3, 5, 4), (1,), (7,)):
        x = torch.zeros(3, *shape)
        model = Model(lambda x: torch.stack((x.flatten(1).sum(1), torch.full((len(x),), 0.05)), 1), shape=shape)
        for norm in ("linf", "l2"):
            found = Square(queries=40).run(
                model, x + 0.05, torch.zeros(3, dtype=torch.long), threat(norm, 0.2), seeded()
            )
            assert found.shape == x.shape
            assert float(size(found - x - 0.05, norm).max()) <= 0.2 * (1 + 1e-6)
            assert math.isfinite(float(found.sum()))
