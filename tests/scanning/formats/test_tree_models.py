"""XGBoost and LightGBM files: what their own writers make is quiet, what contradicts itself is said."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

BROKEN = "model.malformed_graph"


def document(attributes: dict[str, str] | None = None, trees: str = "1", **tree: object) -> dict[str, object]:
    one: dict[str, object] = {
        "tree_param": {"num_nodes": "3"}, "left_children": [1, -1, -1], "right_children": [2, -1, -1],
        "split_indices": [0, 0, 0], "split_conditions": [0.5, 1.0, 2.0], "default_left": [0, 0, 0],
    }  # fmt: skip
    model = {"gbtree_model_param": {"num_trees": trees}, "trees": [{**one, **tree}]}
    learner = {
        "attributes": attributes or {}, "feature_names": ["a", "b"],
        "gradient_booster": {"model": model, "name": "gbtree"},
        "learner_model_param": {"num_class": "0"}, "objective": {"name": "binary:logistic"},
    }  # fmt: skip
    return {"learner": learner, "version": [3, 2, 0]}


def ubjson(value: object, *, key: bool = False) -> bytes:
    """Write UBJSON as XGBoost does: typed arrays of numbers, counted arrays of the rest."""
    if isinstance(value, str):
        raw = value.encode()
        return (b"" if key else b"S") + b"L" + struct.pack(">q", len(raw)) + raw
    if isinstance(value, dict):
        return b"{" + b"".join(ubjson(k, key=True) + ubjson(v) for k, v in value.items()) + b"}"
    if isinstance(value, list) and value and all(isinstance(item, float) for item in value):
        return b"[$d#L" + struct.pack(f">q{len(value)}f", len(value), *value)
    if isinstance(value, list) and value and all(isinstance(item, int) for item in value):
        return b"[$l#L" + struct.pack(f">q{len(value)}i", len(value), *value)
    if isinstance(value, list):
        return b"[#L" + struct.pack(">q", len(value)) + b"".join(map(ubjson, value))
    assert isinstance(value, int)
    return b"l" + struct.pack(">i", value)


BAD_TREES = {
    "child": {"left_children": [1_000_000, -1, -1]},
    "negative child": {"right_children": [-7, -1, -1]},
    "short": {"split_conditions": [0.5]},
    "count": {"tree_param": {"num_nodes": "4000000000"}},
    "no count": {"tree_param": {}},
    "no number": {"left_children": ["x", -1, -1]},
    "no list": {"left_children": "abc"},
}


@pytest.mark.parametrize("kind", BAD_TREES)
def test_xgboost_trees_that_lie(scan_bytes, kind: str) -> None:
    for name, write in (("m.json", lambda made: json.dumps(made).encode()), ("m.ubj", ubjson)):
        assert scan_bytes(name, write(document())).of(BROKEN) == []
        if kind != "no number" or name == "m.json":
            assert scan_bytes(name, write(document(**BAD_TREES[kind]))).of(BROKEN)


def test_xgboost_counts_its_trees(scan_bytes) -> None:
    assert scan_bytes("m.json", json.dumps(document(trees="900")).encode()).of(BROKEN)


def test_xgboost_attributes_are_metadata(scan_bytes) -> None:
    made = document({"note": "__import__('os').system('id')"})
    assert scan_bytes("m.ubj", ubjson(made)).severities("model.model_metadata") == {"high"}


@pytest.mark.parametrize(
    "data",
    [
        b"{", b"{L" + struct.pack(">q", 1 << 62) + b"learner", b"{L" + struct.pack(">q", -1),
        b"{i\x01a[$d#L" + b"\x7f" * 8, b"{" + (b"i\x01a{" * 5_000), b"{i\x01a[" + b"[" * 5_000, b"{i\x01aQ",
        ubjson(document())[:-1], ubjson(document()) + b"x", b"{i\x01aZi\x01aZ}", b"[#L" + struct.pack(">q", 1 << 40),
    ],
)  # fmt: skip
def test_broken_ubjson(scan_bytes, data: bytes) -> None:
    assert scan_bytes("m.ubj", data).of(BROKEN)


def test_ubjson_cut_at_every_byte(scan_bytes) -> None:
    data = ubjson(document())
    for cut in range(1, len(data)):
        assert scan_bytes("m.ubj", data[:cut]).of(BROKEN), cut


TREE = (
    "tree\nversion=v4\nnum_class=1\nobjective=binary sigmoid:1\ntree_sizes=200\n\nTree=0\nnum_leaves=2\n"
    "split_feature=0\nthreshold=0.5\ndecision_type=2\nleft_child=-1\nright_child=-2\n"
    "leaf_value=0.1 0.2\n\nend of trees\n"
)


def test_lightgbm(scan_bytes) -> None:
    assert scan_bytes("m.txt", TREE.encode()).findings == []
    for old, new in (
        ("num_leaves=2", "num_leaves=2000000"), ("left_child=-1", "left_child=77"),
        ("right_child=-2", "right_child=-9"), ("threshold=0.5", "threshold=0.5 1"),
        ("num_leaves=2", "num_leaves=-1"), ("left_child=-1", "left_child=x"),
        ("leaf_value=0.1 0.2", "leaf_value=1"), ("end of trees", ""),
    ):  # fmt: skip
        assert scan_bytes("m.txt", TREE.replace(old, new).encode()).of(BROKEN), new


def test_files_of_the_real_writers_are_quiet(scan_bytes, tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    xgboost, lightgbm = pytest.importorskip("xgboost"), pytest.importorskip("lightgbm")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4))
    y = (x[:, 0] > 0).astype(int)
    booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, xgboost.DMatrix(x, y), 3)
    dart = xgboost.train({"booster": "dart", "nthread": 1}, xgboost.DMatrix(x, y), 2)
    linear = xgboost.train({"booster": "gblinear", "nthread": 1}, xgboost.DMatrix(x, y), 2)
    for model in (booster, dart, linear):
        for ending in ("json", "ubj"):
            path = tmp_path / f"m.{ending}"
            model.save_model(path)
            result = scan_bytes(path.name, path.read_bytes())
            assert result.loud == []
            assert "xgboost_model 1" in result.measurements["files_scanned"].note
    path = tmp_path / "m.txt"
    lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(x, y), 3).save_model(path)
    result = scan_bytes("m.txt", path.read_bytes())
    assert result.loud == []
    assert "lightgbm_model 1" in result.measurements["files_scanned"].note
