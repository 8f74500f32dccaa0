"""Model files of XGBoost, LightGBM and CatBoost: the library answers, and its trees answer the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification

from hauberk.core.errors import ProjectError
from hauberk.core.project import ModelSection
from hauberk.core.protocols import powers
from hauberk.targets.opening import open_target

X, Y3 = make_classification(200, 6, n_informative=4, n_classes=3, random_state=0)
X = X.astype(np.float32)
LABELS = {2: (Y3 == 1).astype(np.int64), 3: Y3}


def xgboost_file(folder, y, name):
    xgboost = pytest.importorskip("xgboost", reason="xgboost is not installed")
    model = xgboost.XGBClassifier(n_estimators=5).fit(X, y)
    model.save_model(folder / name)
    return model.predict_proba(X), model.get_booster()


def lightgbm_file(folder, y, name):
    lightgbm = pytest.importorskip("lightgbm", reason="lightgbm is not installed")
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(X, y)
    model.booster_.save_model(folder / name)
    return model.predict_proba(X), model.booster_


def catboost_file(folder, y, name):
    catboost = pytest.importorskip("catboost", reason="catboost is not installed")
    model = catboost.CatBoostClassifier(iterations=5, verbose=0, allow_writing_files=False).fit(X, y)
    model.save_model(str(folder / name))
    return model.predict_proba(X), model


MADE = {"m.json": xgboost_file, "m.ubj": xgboost_file, "m.txt": lightgbm_file, "m.cbm": catboost_file}


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", list(MADE))
def test_a_file_answers_as_the_model_that_was_saved(tmp_path, name, classes):
    wanted, _ = MADE[name](tmp_path, LABELS[classes], name)
    target = open_target(ModelSection(source=name, bounds=(-9, 9)), tmp_path)
    x = torch.from_numpy(X)
    logits = target.predict(x)
    assert (target.spec.shape, target.spec.classes, target.spec.answers) == ((6,), classes, "logits")
    assert np.allclose(logits.softmax(1).numpy(), wanted, atol=1e-5)
    assert powers(target) == {"scores", "trees"}
    assert torch.equal(target.trees().scores(x).argmax(1), logits.argmax(1))


@pytest.mark.parametrize("name", ["m.json", "m.txt", "m.cbm"])
def test_a_booster_in_memory_is_taken_as_it_is(tmp_path, name, monkeypatch):
    _, booster = MADE[name](tmp_path, Y3, name)
    (tmp_path / "mine.py").write_text("booster = None\ndef build():\n    return booster\n")
    import hauberk.targets.opening as opening

    monkeypatch.setattr(opening, "made", lambda *_: booster)
    target = open_target(ModelSection(source="mine:build", bounds=(-9, 9)), tmp_path)
    assert target.spec.kind == "trees"
    assert target.spec.digest.startswith("sha256:")


@pytest.mark.parametrize("name", list(MADE))
def test_a_broken_or_missing_file_says_so(tmp_path, name):
    MADE[name](tmp_path, Y3, "good" + name[1:])
    with pytest.raises(ProjectError, match="no such file"):
        open_target(ModelSection(source=name, bounds=(-9, 9)), tmp_path)
    (tmp_path / name).write_bytes(b"\x00 nonsense {")
    with pytest.raises(ProjectError, match="cannot be loaded"):
        open_target(ModelSection(source=name, bounds=(-9, 9)), tmp_path)


def test_a_regression_is_no_classifier(tmp_path):
    xgboost = pytest.importorskip("xgboost", reason="xgboost is not installed")
    xgboost.XGBRegressor(n_estimators=2).fit(X, X[:, 0]).save_model(tmp_path / "m.json")
    with pytest.raises(ProjectError, match="no classifier"):
        open_target(ModelSection(source="m.json", bounds=(-9, 9)), tmp_path)
