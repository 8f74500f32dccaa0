"""`hauberk data suspects`: planted rows of a project's own data are named, by index; what cannot be seen is said."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_digits

from hauberk.api.suspecting import suspects
from hauberk.core.errors import ProjectError, UnknownName, UsageError


def project(folder, x, y, train):
    np.savez(folder / "data.npz", x_train=x[:train], y_train=y[:train], x_test=x[train:], y_test=y[train:])
    (folder / "hauberk.toml").write_text('[data]\nsource = "data.npz"\n')
    return folder


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return (x / 16).astype(np.float32).reshape(-1, 1, 8, 8), y.astype(np.int64)


@pytest.fixture
def planted(tmp_path, digits):
    x, y = (part.copy() for part in digits)
    rows = np.flatnonzero(y[:1500] != 7)[:18]
    x[rows, 0, -3:, -3:] = (np.arange(3)[:, None] + np.arange(3) + 1) % 2
    y[rows] = 7
    return project(tmp_path, x, y, 1500), set(rows.tolist())


def test_planted_rows_are_named(planted, tmp_path):
    folder, rows = planted
    found = suspects(folder, rows=tmp_path / "rows.jsonl")
    sure = {row for row, by in found.rows.items() if "poison.neighbour_disagreement" not in by or len(by) > 1}
    assert len(sure & rows) >= 0.9 * len(rows)
    assert len(sure - rows) <= 2
    names = {finding.rule for finding in found.report.findings}
    assert names == {"data.planted_rows"}
    assert found.report.verdict().exit_status == 1
    assert all("class 7" in finding.message for finding in found.report.findings)
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert {line["row"] for line in lines} == set(found.rows)


def test_clean_data_pass_and_the_report_says_what_was_not_seen(tmp_path, digits):
    found = suspects(project(tmp_path, *digits, 1500))
    assert not found.rows
    assert found.report.verdict().exit_status == 0
    assert any("cannot see" in gap.reason for gap in found.report.skipped)


def test_one_detector_by_name(planted):
    folder, rows = planted
    found = suspects(folder, detectors=("poison.residual_direction",))
    assert set(found.rows) <= rows
    assert all(by == ("poison.residual_direction",) for by in found.rows.values())


def test_wrong_names_are_refused(planted):
    with pytest.raises(UnknownName, match="predicate_lift"):
        suspects(planted[0], detectors=("poison.predicate_lifts",))
    with pytest.raises(UsageError, match="finds no planted rows"):
        suspects(planted[0], detectors=("detection.knn",))


def test_a_project_without_data_is_refused(tmp_path):
    (tmp_path / "hauberk.toml").write_text('name = "nothing"\n')
    with pytest.raises(ProjectError, match=r"\[data\] is missing"):
        suspects(tmp_path)
