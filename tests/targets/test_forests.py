"""Trees read from a model answer as the library itself: same leaves, same scores, on thresholds and beside them too."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from hauberk.numeric.tree import LEAF
from hauberk.targets import from_sklearn
from hauberk.targets.forests import forest_of

X, Y3 = make_classification(300, 6, n_informative=4, n_classes=3, random_state=0)
X = X.astype(np.float32)
LABELS = {2: (Y3 == 1).astype(np.int64), 3: Y3}


def rows(forest, seed=0):
    """Random rows, and rows whose every value is a threshold or one of its float32 neighbours."""
    rng = np.random.default_rng(seed)
    found = [rng.normal(0, 2, (400, forest.features)).astype(np.float32)]
    inner = (forest.feature != LEAF).numpy()
    edges = np.zeros((600, forest.features), dtype=np.float32)
    for column in range(forest.features):
        own = forest.threshold.numpy()[inner & (forest.feature.numpy() == column)]
        if len(own):
            edge = rng.choice(own, 600)
            edges[:, column] = np.select(
                [rng.random(600) < 0.4, rng.random(600) < 0.5],
                [edge, np.nextafter(edge, np.inf)],
                np.nextafter(edge, -np.inf),
            )
    return np.concatenate([*found, edges.astype(np.float32)])


def scores(forest, x):
    return forest.scores(torch.from_numpy(x)).numpy()


def raw(model, x):
    """The library's own scores: probabilities of averaged trees, margins of boosted ones."""
    margins = model.decision_function(x)
    return np.stack((np.zeros(len(x)), margins), 1) if margins.ndim == 1 else margins


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(random_state=0),
        RandomForestClassifier(7, random_state=0),
        ExtraTreesClassifier(7, max_depth=5, random_state=0),
    ],
)
def test_averaged_trees(model, classes):
    forest = forest_of(model.fit(X, LABELS[classes]))
    x = rows(forest)
    assert np.allclose(scores(forest, x), model.predict_proba(x), atol=1e-12)
    assert (scores(forest, x).argmax(1) == model.predict(x)).mean() > 0.99, "equal shares may be summed otherwise"
    starts = forest.roots.numpy()
    leaves = forest.leaves(torch.from_numpy(x)).numpy() - starts
    assert np.array_equal(leaves, model.apply(x).reshape(len(x), -1)), "the same leaves, to the bit"


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    "model", [GradientBoostingClassifier(n_estimators=9), HistGradientBoostingClassifier(max_iter=9)]
)
def test_boosted_trees(model, classes):
    forest = forest_of(model.fit(X, LABELS[classes]))
    x = rows(forest)
    assert np.allclose(scores(forest, x), raw(model, x), atol=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_xgboost(classes):
    xgboost = pytest.importorskip("xgboost", reason="xgboost is not installed")
    model = xgboost.XGBClassifier(n_estimators=9, max_depth=4).fit(X, LABELS[classes])
    forest = forest_of(model)
    x = rows(forest)
    found = scores(forest, x)
    own = model.predict(x, output_margin=True)
    assert np.allclose(found if classes == 3 else found[:, 1], own, atol=1e-5)
    leaves = forest.leaves(torch.from_numpy(x)) - forest.roots
    assert np.array_equal(leaves.numpy(), model.apply(x).reshape(len(x), -1)), "x < t, not x ≤ t"
    assert np.allclose(scores(forest_of(model.get_booster()), x), found)


def test_xgboost_counts_the_rounds_its_early_stopping_kept():
    xgboost = pytest.importorskip("xgboost", reason="xgboost is not installed")
    model = xgboost.XGBClassifier(n_estimators=200, early_stopping_rounds=2, learning_rate=1.0)
    model.fit(X[:200], LABELS[2][:200], eval_set=[(X[200:], LABELS[2][200:])], verbose=False)
    assert model.best_iteration < 198
    forest = forest_of(model)
    assert np.allclose(scores(forest, X)[:, 1], model.predict(X, output_margin=True), atol=1e-5)
    assert forest_of(xgboost.XGBClassifier(n_estimators=2, missing=0.0).fit(X, LABELS[2])) is None


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("boosting", ["gbdt", "rf"])
def test_lightgbm(classes, boosting):
    lightgbm = pytest.importorskip("lightgbm", reason="lightgbm is not installed")
    bagged = {"subsample": 0.7, "subsample_freq": 1} if boosting == "rf" else {}
    model = lightgbm.LGBMClassifier(n_estimators=9, boosting_type=boosting, verbose=-1, **bagged).fit(
        X, LABELS[classes]
    )
    forest = forest_of(model)
    x = rows(forest)
    found = scores(forest, x)
    assert np.allclose(found if classes == 3 else found[:, 1], model.booster_.predict(x, raw_score=True), atol=1e-9)


def test_lightgbm_with_zeros_as_missing_or_categories_is_a_black_box():
    lightgbm = pytest.importorskip("lightgbm", reason="lightgbm is not installed")
    sparse = np.where(np.abs(X) < 0.3, 0, X)
    model = lightgbm.LGBMClassifier(n_estimators=3, zero_as_missing=True, verbose=-1).fit(sparse, LABELS[2])
    assert forest_of(model) is None
    grouped = np.concatenate((X, np.arange(len(X))[:, None] % 5), 1)
    labels = (LABELS[2] + (grouped[:, -1] == 2)) % 2
    model = lightgbm.LGBMClassifier(n_estimators=9, verbose=-1).fit(grouped, labels, categorical_feature=[6])
    assert forest_of(model) is None


@pytest.mark.parametrize("classes", [2, 3])
def test_catboost(classes):
    catboost = pytest.importorskip("catboost", reason="catboost is not installed")
    model = catboost.CatBoostClassifier(iterations=9, depth=4, verbose=0, allow_writing_files=False)
    forest = forest_of(model.fit(X, LABELS[classes]))
    x = rows(forest)
    found = scores(forest, x)
    own = model.predict(x, prediction_type="RawFormulaVal")
    assert np.allclose(found if classes == 3 else found[:, 1], own, atol=1e-9)


def test_what_is_no_ensemble_has_no_trees():
    assert forest_of(LogisticRegression().fit(X, Y3)) is None
    assert forest_of(GradientBoostingClassifier(init=LogisticRegression(), n_estimators=2).fit(X, Y3)) is None


@pytest.mark.parametrize(
    "model", [RandomForestClassifier(4, random_state=1), GradientBoostingClassifier(n_estimators=4)]
)
def test_each_row_lies_in_one_box_of_each_tree(model):
    forest = forest_of(model.fit(X, Y3))
    x = torch.from_numpy(rows(forest))
    boxes = forest.boxes()
    inside = ~boxes.broken(x).any(2)
    for tree in range(len(forest.roots)):
        assert bool((inside[:, boxes.tree == tree].sum(1) == 1).all())
    summed = forest.base + inside.double() @ boxes.value
    assert torch.allclose(summed, forest.scores(x), atol=1e-12)


def test_a_target_answers_as_its_trees():
    target = from_sklearn(RandomForestClassifier(5, random_state=0).fit(X, Y3), (-9.0, 9.0))
    x = torch.from_numpy(X)
    assert torch.allclose(target.trees().scores(x).float(), target.predict(x), atol=1e-6)
    assert not hasattr(from_sklearn(LogisticRegression().fit(X, Y3), (-9.0, 9.0)), "trees")
