"""Attacks on trees: exact on one tree, near the optimum on ensembles, inside every set; bounds that hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from hauberk.attacks.evasion.decision_tree import DecisionTree
from hauberk.attacks.evasion.tree_coordinates import TreeCoordinates
from hauberk.attacks.evasion.tree_milp import TreeMILP
from hauberk.attacks.tree_target import aim_of
from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.relations import relation
from hauberk.core.schema import Column
from hauberk.core.threat import Ball, Constraints, Threat
from hauberk.numeric.balls import region, size
from hauberk.numeric.rows import rows
from hauberk.numeric.tree_bounds import certified, safe_radius
from hauberk.numeric.tree_moves import cells
from hauberk.numeric.tree_reach import near_leaves
from hauberk.targets import from_callable, from_sklearn

RADII = {"linf": 0.08, "l2": 0.15, "l1": 0.2, "l0": 1.0}
REACHED = {norm: radius if norm == "l0" else radius * (1 - 1e-6) for norm, radius in RADII.items()}


def table(classes):
    x, y = make_classification(400, 5, n_informative=4, n_redundant=0, n_classes=classes, random_state=1)
    return (((x - x.min(0)) / (x.max(0) - x.min(0))).astype(np.float32)), y


def target_of(model, classes=2):
    x, y = table(classes)
    target = from_sklearn(model.fit(x[:300], y[:300]), (0.0, 1.0))
    rows_ = torch.from_numpy(x[300:340])
    return target, rows_, target.predict(rows_).argmax(1)


@pytest.fixture(scope="module")
def boosted():
    return target_of(GradientBoostingClassifier(n_estimators=12, max_depth=3, random_state=0))


def threat_of(norm, **more):
    return Threat(name="t", ball=Ball(norm, RADII[norm]), **more)


def run(attack, case, threat):
    target, x, y = case
    found = attack.run(target, x, y, threat, torch.Generator().manual_seed(0))
    return found, target.predict(found).argmax(1) != y


def grid_distance(forest, x, y, norm):
    """Try a point of every cell of a small tree: the nearest error, by brute force."""
    cut = cells(forest)
    choices = []
    for column in range(forest.features):
        own = cut.column == column
        low = torch.nextafter(cut.low[own], torch.tensor(torch.inf)).clamp(min=0)
        high = cut.high[own].clamp(max=1)
        choices.append(torch.minimum(torch.maximum(x[column], low), high)[low <= high])
    every = torch.cartesian_prod(*choices)
    wrong = every[forest.scores(every).argmax(1) != y]
    return float(size(wrong - x, norm).min()) if len(wrong) else np.inf


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("norm", list(RADII))
def test_one_tree_is_solved_exactly(norm, classes):
    case = target, x, y = target_of(DecisionTreeClassifier(max_depth=4, random_state=0), classes)
    found, wrong = run(DecisionTree(), case, threat_of(norm))
    true = torch.tensor([grid_distance(target.trees(), a, b, norm) for a, b in zip(x, y, strict=True)])
    assert torch.equal(wrong, true <= REACHED[norm])
    assert torch.allclose(size(found - x, norm)[wrong], true[wrong].float(), atol=1e-5)
    assert torch.equal(found[~wrong], x[~wrong])
    both = run(TreeCoordinates(), case, threat_of(norm))[1]
    assert not bool((both & ~wrong).any())


@pytest.mark.parametrize("norm", list(RADII))
def test_the_programme_finds_the_nearest_and_the_search_comes_near(norm, boosted):
    target, x, y = boosted
    case = target, x[:12], y[:12]
    solved = TreeMILP(seconds=60).solve(*case, threat_of(norm))
    true = torch.tensor([grid_distance(target.trees(), a, b, norm) for a, b in zip(*case[1:], strict=True)])
    inside = true <= REACHED[norm]
    assert norm == "l0" or 0 < int(inside.sum()) < 12, "the radius tells nothing"
    for solution, distance, broken in zip(solved, true.tolist(), inside.tolist(), strict=True):
        assert solution.status == ("optimal" if broken else "none")
        if broken:
            assert solution.distance == pytest.approx(distance, abs=1e-5)
            assert solution.bound <= solution.distance + 1e-5
    wrong = run(TreeMILP(seconds=60), case, threat_of(norm))[1]
    assert torch.equal(wrong, inside)
    greedy = run(TreeCoordinates(), case, threat_of(norm))[1]
    assert not bool((greedy & ~wrong).any())
    assert int(wrong.sum()) - int(greedy.sum()) <= 1
    where = region(Ball(norm, RADII[norm]), case[1], (0.0, 1.0))
    proven = certified(target.trees(), where, aim_of(case[2], threat_of(norm)))
    assert not bool((proven & inside).any()), "a proof that is wrong"
    if norm == "linf":
        assert int(proven.sum()) >= int((~inside).sum()) - 2


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_safe_radius_lies_below_the_nearest_error(norm, boosted):
    target, x, y = boosted
    x, y = x[:6], y[:6]
    safe = safe_radius(target.trees(), norm, x, aim_of(y, threat_of(norm)), (0.0, 1.0), largest=0.5, halvings=6)
    true = torch.tensor([grid_distance(target.trees(), a, b, norm) for a, b in zip(x, y, strict=True)])
    assert bool((safe < true).all())
    assert float(safe.mean()) > 0.3 * float(true.clamp(max=0.5).mean())


def test_where_one_column_may_change_the_proof_is_exact(boosted):
    target, x, y = boosted
    columns = tuple(Column(name=name, low=0, high=1, direction="up") for name in "abcde")
    constraints = Constraints(columns=columns, changed=1)
    threat = Threat(name="t", constraints=constraints)
    proven = certified(target.trees(), rows(constraints, x, (0.0, 1.0)), aim_of(y, threat))
    assert 0 < int(proven.sum()) < len(x)
    assert torch.equal(proven, ~run(TreeCoordinates(), boosted, threat)[1])
    both = certified(target.trees(), rows(Constraints(columns=columns, changed=2), x, (0.0, 1.0)), aim_of(y, threat))
    assert not bool((both & ~proven).any())


def test_merging_trees_proves_more():
    target, x, y = target_of(RandomForestClassifier(12, max_depth=6, random_state=0))
    where, aim = region(Ball("l1", 0.05), x, (0.0, 1.0)), aim_of(y, threat_of("linf"))
    plain, merged = (certified(target.trees(), where, aim, merges) for merges in (0, 3))
    assert not bool((plain & ~merged).any())
    assert int(plain.sum()) < int(merged.sum())
    left = ~run(TreeCoordinates(), (target, x, y), Threat(name="t", ball=Ball("l1", 0.05)))[1]
    assert not bool((merged & ~left).any())
    assert int(left.sum()) - int(merged.sum()) <= 3, "proof and attack nearly meet"


@pytest.mark.parametrize(
    "model", [GradientBoostingClassifier(n_estimators=6), RandomForestClassifier(6, random_state=0)]
)
def test_scores_of_all_moves_are_the_scores_of_the_moved_rows(model):
    target, x, _ = target_of(model, classes=3)
    forest = target.trees()
    cut = cells(forest)
    wide = region(Ball("linf", 2.0), x, (-1.0, 2.0))
    scores = cut.scores(forest, x, near_leaves(cut.boxes, wide))
    for cell in range(0, len(cut.column), 7):
        moved = x.clone()
        moved[:, cut.column[cell]] = cut.high[cell] if bool(cut.high[cell].isfinite()) else cut.low[cell] + 1
        assert torch.allclose(scores[:, cell], forest.scores(moved), atol=1e-9)


@pytest.mark.parametrize(
    "attack", [TreeCoordinates(), DecisionTree(), TreeMILP(seconds=20)], ids=lambda a: type(a).__name__
)
def test_a_table_keeps_its_types_and_a_target_class_is_reached(attack):
    x, y = table(3)
    columns = (
        Column(name="a", kind="integer", low=0, high=20),
        Column(name="b", low=0, high=1, immutable=True),
        Column(name="c", low=0, high=1, direction="up"),
        Column(name="d", kind="integer", low=0, high=20),
        Column(name="e", low=0, high=1),
    )
    scale = np.array([20, 1, 1, 20, 1], dtype=np.float32)
    values = x * scale
    values[:, [0, 3]] = values[:, [0, 3]].round()
    model = DecisionTreeClassifier(max_depth=6, random_state=0).fit(values[:300], y[:300])
    target = from_sklearn(model, (0.0, 20.0))
    some = torch.from_numpy(values[300:330])
    labels = target.predict(some).argmax(1)
    constraints = Constraints(columns=columns, changed=2)
    where = rows(constraints, some, (0.0, 20.0))
    threat = Threat(name="t", constraints=constraints, target_class=2)
    found = attack.run(target, some, labels, threat, torch.Generator().manual_seed(0))
    assert bool(where.contains(found).all())
    reached = (target.predict(found).argmax(1) == 2) & (labels != 2)
    assert int(reached.sum()) >= 3
    if not isinstance(attack, TreeMILP):
        exact = TreeMILP(seconds=20).run(target, some, labels, threat, torch.Generator())
        assert torch.equal(target.predict(exact).argmax(1) == 2, target.predict(found).argmax(1) == 2)


def test_groups_and_relations_hold_while_columns_move():
    rng = np.random.default_rng(0)
    parts = rng.uniform(0, 1, (400, 2)).astype(np.float32)
    hot = np.eye(3, dtype=np.float32)[rng.integers(0, 3, 400)]
    x = np.concatenate((parts, parts.sum(1, keepdims=True), hot), 1)
    y = ((x[:, 2] > 1) ^ (hot[:, 0] > 0)).astype(int)
    columns = (
        *(Column(name=name, low=0, high=2) for name in ("a", "b", "total")),
        *(Column(name=f"h{i}", kind="boolean", group="h") for i in range(3)),
    )
    target = from_sklearn(GradientBoostingClassifier(n_estimators=20).fit(x[:300], y[:300]), (0.0, 2.0))
    some, labels = torch.from_numpy(x[300:]), torch.from_numpy(y[300:])
    for changed, least in ((1, 0.5), (2, 0.9)):
        constraints = Constraints(columns=columns, changed=changed, relations=(relation("total == a + b"),))
        threat = Threat(name="t", constraints=constraints)
        found = TreeCoordinates().run(target, some, labels, threat, torch.Generator().manual_seed(0))
        where = rows(constraints, some, (0.0, 2.0))
        assert bool(where.contains(found).all())
        assert float((target.predict(found).argmax(1) != labels).float().mean()) > least
    with pytest.raises(UsageError, match="no one-hot groups"):
        TreeMILP().run(target, some, labels, threat, torch.Generator())


def test_who_shows_no_trees_cannot_be_attacked_so():
    target = from_callable(lambda x: torch.stack((x[:, 0], -x[:, 0]), 1), (5,), 2, (0.0, 1.0))
    x, y = torch.rand(3, 5), torch.zeros(3, dtype=torch.long)
    with pytest.raises(MissingPower, match="no trees"):
        TreeCoordinates().run(target, x, y, threat_of("linf"), torch.Generator())
    forest = target_of(RandomForestClassifier(3, random_state=0))
    with pytest.raises(UsageError, match="one tree"):
        run(DecisionTree(), forest, threat_of("linf"))
    for attack in (TreeCoordinates(), TreeMILP()):
        assert run(attack, (forest[0], forest[1][:0], forest[2][:0]), threat_of("l1"))[0].shape == (0, 5)


def test_a_sample_that_is_wrong_already_stays(boosted):
    target, x, y = boosted
    for attack in (TreeCoordinates(), TreeMILP()):
        found = attack.run(target, x[:4], 1 - y[:4], threat_of("linf"), torch.Generator())
        assert torch.equal(found, x[:4])
