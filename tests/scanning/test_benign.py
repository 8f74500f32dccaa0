"""Files that real frameworks write: no finding of medium severity or above, nothing skipped."""

from __future__ import annotations

import datetime
import decimal
import io
import json
import pathlib
import pickle
import uuid
from collections import Counter, OrderedDict, defaultdict, deque

import pytest

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
sklearn = pytest.importorskip("sklearn")
joblib = pytest.importorskip("joblib")


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def plain_objects() -> object:
    return {
        "counter": Counter("abc"), "ordered": OrderedDict(a=1), "default": defaultdict(list), "deque": deque([1]),
        "when": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), "amount": decimal.Decimal("1.5"),
        "path": pathlib.PurePosixPath("a/b"), "id": uuid.UUID(int=5), "range": range(3), "complex": 1j,
        "bytes": b"\x00\xff", "array": bytearray(b"x"), "set": {1, 2}, "frozen": frozenset([3]), "none": None,
    }  # fmt: skip


def arrays() -> object:
    return [
        np.arange(6).reshape(2, 3), np.float32(1.5), np.dtype([("a", "f4")]), np.array(["a", "b"]),
        np.array([1, "x"], dtype=object), np.random.default_rng(0), np.random.RandomState(0),
        np.ma.masked_array([1, 2], [True, False]), np.datetime64("2024-01-01"),
    ]  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("make", [plain_objects, arrays])
def test_pickles(scan_bytes, make, protocol: int) -> None:
    assert scan_bytes("a.pkl", pickle.dumps(make(), protocol)).loud == []


def estimators() -> list[object]:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.compose import ColumnTransformer
    from sklearn.decomposition import PCA, TruncatedSVD
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.feature_selection import SelectKBest
    from sklearn.linear_model import LogisticRegression, SGDClassifier
    from sklearn.model_selection import GridSearchCV
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler
    from sklearn.svm import SVC

    return [
        make_pipeline(StandardScaler(), PCA(2), LogisticRegression()),
        make_pipeline(SelectKBest(k=2), SVC()),
        ColumnTransformer([("a", StandardScaler(), [0]), ("b", OneHotEncoder(handle_unknown="ignore"), [1])]),
        RandomForestClassifier(3), GradientBoostingClassifier(n_estimators=3),
        HistGradientBoostingClassifier(max_iter=3),
        KNeighborsClassifier(algorithm="kd_tree"), KNeighborsClassifier(algorithm="ball_tree"), GaussianNB(),
        MLPClassifier(max_iter=3), SGDClassifier(), TruncatedSVD(2), CalibratedClassifierCV(LogisticRegression(), cv=2),
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def fitted() -> list[object]:
    from sklearn.datasets import load_iris

    x, y = load_iris(return_X_y=True)
    with np.errstate(all="ignore"):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [estimator.fit(x[::5], y[::5]) for estimator in estimators()]


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_estimators_pickled(scan_bytes, fitted: list[object], protocol: int) -> None:
    for estimator in fitted:
        assert scan_bytes("m.pkl", pickle.dumps(estimator, protocol)).loud == [], estimator


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_estimators_dumped_by_joblib(scan_bytes, fitted: list[object], compress: object) -> None:
    for estimator in fitted:
        stream = io.BytesIO()
        joblib.dump(estimator, stream, compress=compress)
        assert scan_bytes("m.joblib", stream.getvalue()).loud == [], estimator


def net() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8, 3)
    )


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_modules_and_checkpoints(scan_bytes, zipped: bool) -> None:
    model = net()
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.zeros(1, 1, 4, 4)).sum().backward()
    optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state(), "epoch": 3}
    for thing in (model, state, torch.zeros(3, dtype=torch.bfloat16), torch.zeros(2, 2).to_sparse()):
        stream = io.BytesIO()
        torch.save(thing, stream, _use_new_zipfile_serialization=zipped)
        assert scan_bytes("m.pt", stream.getvalue()).loud == []


def test_torch_module_in_a_plain_pickle(scan_bytes) -> None:
    assert scan_bytes("m.pkl", pickle.dumps(net())).loud == []


def test_torchscript_is_named_and_not_loud(scan_bytes) -> None:
    stream = io.BytesIO()
    torch.jit.save(torch.jit.trace(net().eval(), torch.zeros(1, 1, 4, 4)), stream)
    result = scan_bytes("m.pt", stream.getvalue())
    assert result.loud == []
    assert result.severities("model.embedded_code") == {"low"}


def test_npz_of_objects_alone_is_no_pickle_by_itself(scan_bytes) -> None:
    stream = io.BytesIO()
    np.savez(stream, np.array([{"a": 1}], dtype=object))
    assert scan_bytes("a.npz", stream.getvalue()).loud == []


def test_npz(scan_bytes) -> None:
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, a=np.zeros((100, 100)), b=np.arange(3), c=np.array([1, "x"], dtype=object))
        assert scan_bytes("a.npz", stream.getvalue()).loud == []


def data() -> tuple[object, object]:
    from sklearn.datasets import load_iris

    x, y = load_iris(return_X_y=True)
    return x[::5], y[::5]


def test_xgboost(scan_bytes, tmp_path: pathlib.Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    x, y = data()
    model = xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(x, y)
    for ending in ("json", "ubj"):
        model.save_model(tmp_path / f"m.{ending}")
        assert scan_bytes(f"m.{ending}", (tmp_path / f"m.{ending}").read_bytes()).loud == []
    for thing in (model, model.get_booster()):
        assert scan_bytes("m.pkl", pickle.dumps(thing)).loud == []


def test_lightgbm(scan_bytes, tmp_path: pathlib.Path) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    x, y = data()
    model = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1, n_jobs=1).fit(x, y)
    model.booster_.save_model(tmp_path / "m.txt")
    assert scan_bytes("m.txt", (tmp_path / "m.txt").read_bytes()).loud == []
    assert scan_bytes("m.json", json.dumps(model.booster_.dump_model()).encode()).loud == []
    assert scan_bytes("m.pkl", pickle.dumps(model)).loud == []


def test_catboost(scan_bytes, tmp_path: pathlib.Path) -> None:
    catboost = pytest.importorskip("catboost")
    x, y = data()
    model = catboost.CatBoostClassifier(iterations=2, verbose=0, allow_writing_files=False, thread_count=1).fit(x, y)
    for kind in ("cbm", "json", "onnx", "coreml", "cpp"):
        model.save_model(str(tmp_path / f"m.{kind}"), format=kind)
        ending = kind.replace("coreml", "mlmodel")
        assert scan_bytes(f"m.{ending}", (tmp_path / f"m.{kind}").read_bytes()).loud == [], kind
    assert scan_bytes("m.pkl", pickle.dumps(model)).loud == []


def test_safetensors(scan_bytes) -> None:
    save = pytest.importorskip("safetensors.torch").save
    assert scan_bytes("m.safetensors", save(net().state_dict(), metadata={"format": "pt"})).loud == []


def test_onnx(scan_bytes) -> None:
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [value("x", 1, [1])], [value("y", 1, [1])])
    assert scan_bytes("m.onnx", onnx.helper.make_model(graph).SerializeToString()).loud == []
    tensor = onnx.numpy_helper.from_array(np.zeros((2, 3), "f4"), "input")
    assert scan_bytes("input_0.pb", tensor.SerializeToString()).findings == []


def test_skops(scan_bytes, fitted: list[object]) -> None:
    dumps = pytest.importorskip("skops.io").dumps
    for estimator in fitted:
        assert scan_bytes("m.skops", dumps(estimator)).loud == [], estimator


@pytest.mark.parametrize("compression", [None, "gzip", "bz2", "xz", "zip", "tar"])
def test_pandas(scan_bytes, tmp_path: pathlib.Path, compression: str | None) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": pandas.Categorical(["u", "v"])})
    frame["d"] = pandas.to_datetime(["2020-01-01", "2021-01-01"]).tz_localize("UTC")
    frame["e"] = pandas.array([1, None], dtype="Int64")
    for thing in (frame, frame.set_index(["a", "b"]), frame["d"]):
        thing.to_pickle(tmp_path / "f", compression=compression)
        assert scan_bytes("f.pkl", (tmp_path / "f").read_bytes()).loud == []


_SHIPPED = (".pkl", ".pt", ".ptl", ".pth", ".npy", ".npz", ".onnx", ".joblib", ".h5", ".jinja", ".j2", ".tp", ".ipynb",
            ".z", ".gz", ".tar", ".zip", ".mat")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("package", [np, torch, sklearn, joblib])
def test_what_the_packages_ship(package: object, tmp_path: pathlib.Path) -> None:
    from hauberk.scanning.kit import tools
    from hauberk.scanning.reading import scan_file
    from hauberk.scanning.tree import Listed

    root = pathlib.Path(str(package.__file__)).parent  # type: ignore[attr-defined]
    files = sorted(path for path in root.rglob("*") if path.suffix in _SHIPPED and path.is_file())
    assert files
    for path in files:
        found = scan_file(Listed(path, path.relative_to(root.parent).as_posix()), tools())
        loud = [one for one in found.entries if getattr(one, "severity", "high") not in ("info", "low")]
        assert loud == [], path
