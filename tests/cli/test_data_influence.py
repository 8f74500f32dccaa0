"""`hauberk data influence` as a user calls it: rows are written, the status says how it ended."""

from __future__ import annotations

import json

import joblib
import pytest
from click.testing import CliRunner
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier

from hauberk.cli.data_command import command

PROJECT = """
[model]
source = "model.joblib"
trust = true
bounds = [0, 1]
shape = [1, 8, 8]

[data]
source = "bundled:digits"
"""


@pytest.fixture
def project(tmp_path):
    x, y = load_digits(return_X_y=True)
    joblib.dump(RidgeClassifier().fit(x / 16, y), tmp_path / "model.joblib")
    (tmp_path / "hauberk.toml").write_text(PROJECT)
    return tmp_path


def test_rows_are_written_and_figures_printed(project):
    rows = project / "rows.jsonl"
    asked = [
        "influence",
        str(project),
        "--inputs",
        "3",
        "--checked",
        "1",
        "--rows",
        str(rows),
        "--format",
        "json",
        "-q",
    ]
    done = CliRunner().invoke(command, asked)
    assert done.exit_code == 0, done.output
    assert '"rows_to_turn"' in done.output
    assert [len(json.loads(line)["rows"]) > 0 for line in rows.read_text().splitlines()] == [True] * 3


def test_a_count_below_one_is_a_fault_of_use(project):
    done = CliRunner().invoke(command, ["influence", str(project), "--inputs", "0"])
    assert done.exit_code == 2
    assert "--inputs" in done.output
