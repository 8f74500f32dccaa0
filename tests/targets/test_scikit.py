"""scikit-learn classifiers: columns in the right order, files that need trust refused, refits that repeat."""

import pickle

import joblib
import numpy as np
import pytest
import skops.io
import torch
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from hauberk.core.errors import DataError, ProjectError, TargetError
from hauberk.core.project import ModelSection
from hauberk.core.protocols import Differentiable, Trainable, powers
from hauberk.targets import from_sklearn
from hauberk.targets.estimator_files import _of_sklearn
from hauberk.targets.opening import open_target

X, Y = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)
X = X.astype(np.float32)
BOUNDS = (-9.0, 9.0)
ROWS = torch.from_numpy(X)


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(5, random_state=0),
        GradientBoostingClassifier(n_estimators=3, random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression()),
        GaussianNB(),
    ],
)
def test_probabilities_are_the_models_own(model):
    target = from_sklearn(model.fit(X, Y), BOUNDS)
    assert target.spec.answers == "probabilities"
    assert target.spec.shape == (6,)
    assert target.spec.classes == 3
    assert np.allclose(target.predict(ROWS).numpy(), model.predict_proba(X), atol=1e-6)
    trees = hasattr(model, "estimators_")
    assert powers(target) == {"scores", "refit", *(("trees",) if trees else ())}
    assert isinstance(target, Trainable)
    assert not isinstance(target, Differentiable)


def test_margins_are_logits_and_binary_ones_become_two_columns():
    three = LinearSVC().fit(X, Y)
    target = from_sklearn(three, BOUNDS)
    assert target.spec.answers == "logits"
    assert np.allclose(target.predict(ROWS).numpy(), three.decision_function(X), atol=1e-5)
    two = LinearSVC().fit(X, Y == 2)
    logits = from_sklearn(two, BOUNDS).predict(ROWS)
    assert np.allclose((logits[:, 1] - logits[:, 0]).numpy(), two.decision_function(X), atol=1e-5)


def test_labels_only_when_asked_for():
    model = LogisticRegression().fit(X, np.array(["a", "b", "c"])[Y])
    target = from_sklearn(model, BOUNDS, answers="labels")
    assert powers(target) == {"refit"}
    assert target.spec.labels == ("a", "b", "c")
    assert (target.predict(ROWS).argmax(1).numpy() == np.searchsorted(model.classes_, model.predict(X))).all()


def test_columns_go_where_their_classes_belong():
    model = GaussianNB().fit(X[Y != 1], Y[Y != 1])  # it knows 0 and 2
    target = from_sklearn(model, BOUNDS, classes=3)
    scores = target.predict(ROWS).numpy()
    assert np.allclose(scores[:, [0, 2]], model.predict_proba(X), atol=1e-6)
    assert (scores[:, 1] == 0).all()


def test_a_pipeline_fitted_on_named_columns():
    pd = pytest.importorskip("pandas")
    names = [f"f{i}" for i in range(6)]
    pipeline = make_pipeline(ColumnTransformer([("s", StandardScaler(), names[:4])]), LogisticRegression())
    frame = pd.DataFrame(X, columns=names)
    target = from_sklearn(pipeline.fit(frame, Y), BOUNDS)
    assert np.allclose(target.predict(ROWS).numpy(), pipeline.predict_proba(frame), atol=1e-6)


def test_images_are_flattened_for_it(tmp_path):
    model = DecisionTreeClassifier(random_state=0).fit(X, Y)
    skops.io.dump(model, tmp_path / "m.skops")
    target = open_target(ModelSection(source="m.skops"), tmp_path, shape_hint=(1, 2, 3), bounds_hint=BOUNDS)
    assert target.spec.shape == (1, 2, 3)
    assert np.allclose(target.predict(ROWS.reshape(-1, 1, 2, 3)).numpy(), model.predict_proba(X))


def test_refit_repeats_and_leaves_the_old_model():
    model = RandomForestClassifier(5).fit(X, Y)
    target = from_sklearn(model, BOUNDS)
    before = target.predict(ROWS)
    y = torch.from_numpy(Y)
    one, two, three = (target.refit(ROWS, y, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one.predict(ROWS), two.predict(ROWS))
    assert one.spec.digest == two.spec.digest != three.spec.digest
    assert torch.equal(target.predict(ROWS), before)


def test_refit_on_fewer_classes_keeps_the_columns():
    target = from_sklearn(GaussianNB().fit(X, Y), BOUNDS)
    some = torch.from_numpy(Y != 1)
    refitted = target.refit(ROWS[some], torch.from_numpy(Y)[some], torch.Generator())
    assert refitted.predict(ROWS).shape == (120, 3)
    assert (refitted.predict(ROWS)[:, 1] == 0).all()
    with pytest.raises(TargetError, match="raised ValueError"):
        from_sklearn(LogisticRegression().fit(X, Y), BOUNDS).refit(ROWS, torch.zeros(120).long(), torch.Generator())
    with pytest.raises(DataError, match="0 inputs"):
        target.refit(ROWS[:0], torch.zeros(0).long(), torch.Generator())


def test_the_digest_is_of_what_was_learned():
    fits = [RandomForestClassifier(3, random_state=seed).fit(X, Y) for seed in (0, 0, 1)]
    digests = [from_sklearn(model, BOUNDS).spec.digest for model in fits]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (LogisticRegression(), {}, "is not fitted"),
        (LinearRegression().fit(X, Y), {}, "not a classifier"),
        (PCA().fit(X), {}, "not a classifier"),
        (RandomForestClassifier(2).fit(X, np.stack((Y, Y), 1)), {}, "one class an input"),
        (LinearSVC().fit(X, Y), {"answers": "probabilities"}, 'no predict_proba[\\s\\S]*"logits"'),
    ],
)
def test_what_is_no_classifier_is_refused(model, options, message):
    with pytest.raises(ProjectError, match=message):
        from_sklearn(model, BOUNDS, **options)


def test_scores_of_pairs_of_classes_are_refused():
    x, y = make_classification(80, 6, n_informative=4, n_classes=4, random_state=0)
    target = from_sklearn(SVC(decision_function_shape="ovo").fit(x, y), BOUNDS)
    with pytest.raises(TargetError, match="gave 6 scores an input, expected 4"):
        target.predict(torch.from_numpy(x).float())


# --- files


def opened(folder, name, **section):
    return open_target(ModelSection(source=name, **section), folder, bounds_hint=BOUNDS)


def test_skops_files_load_without_trust(tmp_path):
    model = GradientBoostingClassifier(n_estimators=2, random_state=0).fit(X, Y)
    skops.io.dump(model, tmp_path / "m.skops")
    target = opened(tmp_path, "m.skops")
    assert np.allclose(target.predict(ROWS).numpy(), model.predict_proba(X), atol=1e-6)
    assert target.spec.notes == ()
    assert target.spec.kind == "scikit"


def test_skops_with_foreign_types_needs_trust(tmp_path):
    class Mine(GaussianNB):
        pass

    Mine.__module__, Mine.__qualname__ = "their_library", "Mine"
    skops.io.dump(Mine().fit(X, Y), tmp_path / "m.skops")
    with pytest.raises(ProjectError, match=r"could run code on load: their_library\.Mine"):
        opened(tmp_path, "m.skops")


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("sklearn.tree._tree.Tree", True),
        ("sklearn.datasets.load_files", False),
        ("sklearn.utils.os", False),
        ("sklearn.no_such.Thing", False),
        ("sklearn.base.defaultdict", False),
        ("numpy.memmap", False),
        ("builtins.eval", False),
        ("sklearnevil.Tree", False),
    ],
)
def test_only_classes_scikit_learn_defines_pass(name, good):
    assert _of_sklearn(name) is good


@pytest.mark.parametrize("name", ["m.joblib", "m.pkl"])
def test_pickles_need_trust_and_say_so(tmp_path, name):
    joblib.dump(GaussianNB().fit(X, Y), tmp_path / name)
    with pytest.raises(ProjectError, match=r"can run any code[\s\S]*trust = true"):
        opened(tmp_path, name)
    assert any("trust = true" in note for note in opened(tmp_path, name, trust=True).spec.notes)


def test_a_hostile_pickle_is_not_even_opened(tmp_path):
    marker = tmp_path / "ran"

    class Bomb:
        def __reduce__(self):
            return (marker.touch, ())

    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ProjectError):
        opened(tmp_path, "m.pkl")
    assert not marker.exists()


@pytest.mark.parametrize(("name", "trust"), [("m.skops", False), ("m.joblib", True)])
def test_broken_and_missing_files(tmp_path, name, trust):
    with pytest.raises(ProjectError, match="no such file"):
        opened(tmp_path, name, trust=trust)
    (tmp_path / name).write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ProjectError, match="cannot be loaded"):
        opened(tmp_path, name, trust=trust)
