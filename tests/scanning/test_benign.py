"""Files that real frameworks write: no finding of medium severity or above, nothing skipped."""

from __future__ import annotations

import datetime
import decimal
import io
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
