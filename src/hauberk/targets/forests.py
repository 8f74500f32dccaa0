"""Read the trees out of scikit-learn, XGBoost, LightGBM and CatBoost models into the house's own record."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeAlias, cast

import numpy as np

from hauberk.numeric.tree import LEAF, Forest, at_most, forest

Table: TypeAlias = dict[str, np.ndarray]
Node: TypeAlias = dict[str, object]


class _Named(Protocol):
    """The parts of foreign models that are read here; which of them are there depends on the library."""

    n_features_in_: int
    classes_: np.ndarray


def forest_of(model: object) -> Forest | None:
    """Read a fitted model's trees; None where it is no tree ensemble, or one whose splits are not all x ≤ t.

    Categorical splits, linear leaves, zeros read as missing and losses that are no classification are not read: the
    model is then attacked as a black box. Scores equal the library's raw ones up to the order of float additions;
    the leaves are the same for every float32 row.
    """
    for kind in type(model).__mro__:
        reader = _READERS.get(f"{kind.__module__.partition('.')[0]}.{kind.__name__}")
        if reader is not None:
            return reader(model)
    return None


# --- scikit-learn


def _one_tree(model: object) -> Forest:
    return _averaged([model], model)


def _forest(model: object) -> Forest:
    return _averaged(list(getattr(model, "estimators_")), model)  # noqa: B009


def _averaged(trees: list[object], model: object) -> Forest:
    """Average class shares of trees that each hold all classes."""
    shape = cast("_Named", model)
    tables = []
    for tree in trees:
        shares = np.asarray(_of(tree, "tree_.value"), dtype=np.float64)[:, 0, :]
        tables.append(_sklearn_table(tree, shares / shares.sum(1, keepdims=True) / len(trees)))
    return forest(tables, np.zeros(len(shape.classes_)), shape.n_features_in_)


def _boosted(model: object) -> Forest | None:
    """Read GradientBoostingClassifier: one tree a class and round, two classes share one."""
    if type(_of(model, "init_")).__name__ not in ("DummyClassifier", "str"):
        return None
    shape = cast("_Named", model)
    rounds, rate = cast("np.ndarray", _of(model, "estimators_")), float(cast("float", _of(model, "learning_rate")))
    start = cast("Callable[[np.ndarray], np.ndarray]", _of(model, "_raw_predict_init"))
    base = np.asarray(start(np.zeros((1, shape.n_features_in_), dtype=np.float32)), dtype=np.float64)[0]
    tables = [
        _sklearn_table(tree, _placed(rate * np.asarray(_of(tree, "tree_.value"))[:, 0, 0], column, len(base)))
        for row in rounds
        for column, tree in enumerate(row)
    ]
    return forest(tables, _both(base), shape.n_features_in_)


def _histogram(model: object) -> Forest | None:
    """Read HistGradientBoostingClassifier, whose nodes are records."""
    if _of(model, "is_categorical_") is not None:
        return None
    shape = cast("_Named", model)
    base = np.asarray(_of(model, "_baseline_prediction"), dtype=np.float64).reshape(-1)
    tables = []
    for row in cast("list[list[object]]", _of(model, "_predictors")):
        for column, tree in enumerate(row):
            nodes = cast("np.ndarray", _of(tree, "nodes"))
            leaf = nodes["is_leaf"].astype(bool)
            tables.append(
                {
                    "feature": np.where(leaf, LEAF, nodes["feature_idx"]),
                    "threshold": at_most(nodes["num_threshold"], strict=False),
                    "left": nodes["left"].astype(np.int64),
                    "right": nodes["right"].astype(np.int64),
                    "missing_left": nodes["missing_go_to_left"],
                    "value": _placed(nodes["value"], column, len(base)),
                }
            )
    return forest(tables, _both(base), shape.n_features_in_)


def _sklearn_table(tree: object, value: np.ndarray) -> Table:
    feature = np.asarray(_of(tree, "tree_.feature"))
    return {
        "feature": np.where(feature < 0, LEAF, feature),
        "threshold": at_most(np.asarray(_of(tree, "tree_.threshold")), strict=False),
        "left": np.asarray(_of(tree, "tree_.children_left")),
        "right": np.asarray(_of(tree, "tree_.children_right")),
        "missing_left": np.asarray(_of(tree, "tree_.missing_go_to_left")),
        "value": value,
    }


# --- XGBoost


def _xgboost_estimator(model: object) -> Forest | None:
    """Read XGBClassifier; after early stopping it answers with the rounds up to the best one."""
    missing = _of(model, "missing")
    if not (isinstance(missing, float) and np.isnan(missing)):
        return None
    booster = cast("Callable[[], object]", _of(model, "get_booster"))()
    return xgboost_forest(booster, getattr(model, "best_iteration", None) if _stopped(model) else None)


def _stopped(model: object) -> bool:
    return getattr(model, "early_stopping_rounds", None) is not None


def _xgboost_booster(model: object) -> Forest | None:
    return xgboost_forest(model, None)


def xgboost_forest(booster: object, best: int | None) -> Forest | None:
    """Read a Booster's JSON; best: the last round that counts, None for all."""
    save = cast("Callable[[str], bytes]", _of(booster, "save_raw"))
    learner = json.loads(bytes(save("json")))["learner"]
    objective, boosted = learner["objective"]["name"], learner["gradient_booster"]
    if objective not in _XGBOOST_LINKS or boosted["name"] != "gbtree":
        return None
    model, shape = boosted["model"], learner["learner_model_param"]
    ends = model["iteration_indptr"] if best is None else model["iteration_indptr"][: best + 2]
    base = np.array([float(part) for part in shape["base_score"].strip("[]").split(",")])
    if objective == "binary:logistic":
        base = np.log(base / (1 - base))
    classes = max(1, int(shape["num_class"]))
    base = np.broadcast_to(base, (classes,))
    trees = list(zip(model["trees"][: ends[-1]], model["tree_info"], strict=False))
    if any(any(tree.get("split_type") or ()) or int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree, _ in trees):
        return None
    return forest(
        [_xgboost_table(tree, column, classes) for tree, column in trees], _both(base), int(shape["num_feature"])
    )


_XGBOOST_LINKS = ("binary:logistic", "binary:logitraw", "multi:softprob", "multi:softmax")


def _xgboost_table(tree: dict[str, list[float]], column: int, classes: int) -> Table:
    left = np.array(tree["left_children"])
    split = np.array(tree["split_conditions"], dtype=np.float32).astype(np.float64)
    return {
        "feature": np.where(left < 0, LEAF, np.array(tree["split_indices"])),
        "threshold": at_most(split, strict=True),
        "left": left,
        "right": np.array(tree["right_children"]),
        "missing_left": np.array(tree["default_left"]),
        "value": _placed(split, column, classes),
    }


# --- LightGBM


def _lightgbm_estimator(model: object) -> Forest | None:
    return _lightgbm_booster(_of(model, "booster_"))


def _lightgbm_booster(booster: object) -> Forest | None:
    """Read a Booster's dump; as in its own answers only the rounds up to the best one count."""
    dump = cast("Callable[[], dict[str, object]]", _of(booster, "dump_model"))()
    classes = cast("int", dump["num_tree_per_iteration"])
    if str(dump.get("objective", "")).partition(" ")[0] not in ("binary", "multiclass", "multiclassova"):
        return None
    trees = cast("list[dict[str, Node]]", dump["tree_info"])
    tables = []
    for index, tree in enumerate(trees):
        nodes = list(_walked(tree["tree_structure"]))
        if not all(_plain(node) for node in nodes):
            return None
        tables.append(_lightgbm_table(nodes, index % classes, classes))
    return forest(tables, _both(np.zeros(classes)), cast("int", dump["max_feature_idx"]) + 1)


def _walked(root: Node) -> Iterator[Node]:
    """List a nested tree's nodes, each told the places of its children; the root is the first."""
    waiting, count = [root], 1
    while waiting:
        node = dict(waiting.pop(0))
        if "left_child" in node:
            waiting += [cast("Node", node["left_child"]), cast("Node", node["right_child"])]
            node["left"], node["right"] = count, count + 1
            count += 2
        yield node


def _plain(node: Node) -> bool:
    """Tell whether a node splits at x ≤ t, zero being a number like any other, or is a leaf of one value."""
    if "left" not in node:
        return "leaf_coeff" not in node
    return node["decision_type"] == "<=" and node["missing_type"] != "Zero"


def _lightgbm_table(nodes: list[Node], column: int, classes: int) -> Table:
    def entries(name: str, default: float) -> np.ndarray:
        return np.array([cast("float", node.get(name, default)) for node in nodes])

    # Without a missing type of its own, a value that is no number counts as 0.
    as_zero = np.array([node.get("missing_type") == "None" for node in nodes])
    threshold = entries("threshold", 0.0)
    return {
        "feature": entries("split_feature", LEAF).astype(np.int64),
        "threshold": _near_zero(threshold),
        "left": entries("left", 0),
        "right": entries("right", 0),
        "missing_left": np.where(as_zero, threshold >= 0, entries("default_left", 0).astype(bool)),
        "value": _placed(entries("leaf_value", 0.0), column, classes),
    }


def _near_zero(threshold: np.ndarray) -> np.ndarray:
    """Turn thresholds into float32; a value within LightGBM's kZeroThreshold (1e-35f) is 0 before it is compared."""
    zero = np.float32(1e-35)
    inside = np.where(threshold >= 0, zero, np.nextafter(-zero, np.float32(-1)))
    return np.where(np.abs(threshold) <= np.float64(zero), inside, at_most(threshold, strict=False))


# --- CatBoost


def _catboost(model: object) -> Forest | None:
    """Read oblivious trees of numeric columns from CatBoost's own JSON."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        cast("Callable[..., None]", _of(model, "save_model"))(str(path), format="json")
        whole = json.loads(path.read_text(encoding="utf-8"))
    trees, columns = whole.get("oblivious_trees"), whole["features_info"].get("float_features", [])
    if not trees or whole["features_info"].get("categorical_features"):
        return None
    if any(split["split_type"] != "FloatFeature" for tree in trees for split in tree["splits"] or ()):
        return None
    place = {column["feature_index"]: column["flat_feature_index"] for column in columns}
    greater = {column["feature_index"] for column in columns if column["nan_value_treatment"] == "AsTrue"}
    scale, bias = whole["scale_and_bias"]
    tables = [_oblivious(tree, place, greater, scale, len(bias)) for tree in trees]
    return forest(tables, _both(np.array(bias)), max(place.values()) + 1)


def _oblivious(tree: dict[str, list[Node]], place: dict[int, int], greater: set[int], scale: float, k: int) -> Table:
    """Lay a tree that asks the same of all nodes of a level out as a heap: children of node i at 2i + 1 and 2i + 2."""
    splits = tree["splits"] or []
    depth, inner = len(splits), 2 ** len(splits) - 1
    level = np.floor(np.log2(np.arange(1, 2 * inner + 2))).astype(int)
    columns = np.array([cast("int", split["float_feature_index"]) for split in splits] + [LEAF])
    borders = np.array([cast("float", split["border"]) for split in splits] + [0.0])
    # The split of level i is bit i of the leaf's number; in the heap's last level it is bit depth − 1 − i.
    order = [int(f"{leaf:0{depth}b}"[::-1], 2) if depth else 0 for leaf in range(inner + 1)]
    leaves = np.array(tree["leaf_values"], dtype=np.float64).reshape(inner + 1, k)[order] * scale
    value = np.concatenate((np.zeros((inner, k)), leaves))
    node = np.arange(2 * inner + 1)
    return {
        "feature": np.array([place.get(int(column), LEAF) for column in columns])[level],
        "threshold": at_most(borders, strict=False)[level],
        "left": 2 * node + 1,
        "right": 2 * node + 2,
        "missing_left": np.array([int(column) not in greater for column in columns])[level],
        "value": _both(value) if k == 1 else value,
    }


# --- all of them


def _of(thing: object, path: str) -> object:
    """Read an attribute of a foreign object by its path."""
    for name in path.split("."):
        thing = getattr(thing, name)
    return thing


def _placed(value: np.ndarray, column: int, classes: int) -> np.ndarray:
    """Put values (m,) into the column (m, classes) of the class they add to; one column means the second of two."""
    table = np.zeros((len(value), max(2, classes)))
    table[:, 1 if classes == 1 else column] = value
    return table


def _both(score: np.ndarray) -> np.ndarray:
    """Give one score (…, 1) of two classes a column for the first one, which stays 0."""
    return np.concatenate((np.zeros_like(score), score), axis=-1) if score.shape[-1] == 1 else score


_READERS: dict[str, Callable[[object], Forest | None]] = {
    "sklearn.DecisionTreeClassifier": _one_tree,
    "sklearn.ForestClassifier": _forest,
    "sklearn.GradientBoostingClassifier": _boosted,
    "sklearn.HistGradientBoostingClassifier": _histogram,
    "xgboost.XGBRFClassifier": _xgboost_estimator,
    "xgboost.XGBClassifier": _xgboost_estimator,
    "xgboost.Booster": _xgboost_booster,
    "lightgbm.LGBMClassifier": _lightgbm_estimator,
    "lightgbm.Booster": _lightgbm_booster,
    "catboost.CatBoostClassifier": _catboost,
}
"""Library and class, or a class it derives from → reader."""
