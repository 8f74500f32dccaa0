"""`hauberk data influence`: rows that hold decisions are named by index, in a file and in the answer."""

import json

import joblib
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier

from hauberk.api.influence import influence
from hauberk.core.errors import ProjectError

PROJECT = """
[model]
source = "model.joblib"
trust = true
bounds = [0, 1]
shape = [1, 8, 8]

[data]
source = "bundled:digits"
"""


def test_rows_are_written_and_measured(tmp_path):
    x, y = load_digits(return_X_y=True)
    joblib.dump(RidgeClassifier().fit(x / 16, y), tmp_path / "model.joblib")
    (tmp_path / "hauberk.toml").write_text(PROJECT)
    found = influence(tmp_path, inputs=4, checked=2, rows=tmp_path / "rows.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [line["input"] for line in lines] == [row.input for row in found.turned]
    assert all(len(line["rows"]) >= line["needed"] for line in lines if line["rows"])
    assert sum("retrained" in line for line in lines) == sum(row.asked for row in found.turned) > 0
    names = {row.name for row in found.report.measurements}
    assert {"rows_to_turn", "neighbour_rows_removed", "removal_turns_retrained"} <= names
    assert found.report.verdict().exit_status == 0


def test_a_project_without_model_is_refused(tmp_path):
    (tmp_path / "hauberk.toml").write_text('[data]\nsource = "bundled:digits"\n')
    with pytest.raises(ProjectError, match=r"\[model\] is missing"):
        influence(tmp_path)
