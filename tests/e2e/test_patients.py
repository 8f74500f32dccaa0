"""The patients example tells its story: a leak before, a proven bound and none found after, and what that costs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hauberk
from hauberk.api.private_training import spent
from hauberk.core.evidence import Measurement
from hauberk.core.report import Report

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "patients"
SCRAPS = shutil.ignore_patterns(".hauberk", "hauberk-report", "__pycache__", "*.hardened.*")


@pytest.fixture(scope="module")
def patients(tmp_path_factory) -> Path:
    return Path(shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("example") / "patients", ignore=SCRAPS))


@pytest.fixture(scope="module")
def before(patients) -> Report:
    return hauberk.check(patients)


@pytest.fixture(scope="module")
def after(patients) -> Report:
    return hauberk.check(patients / "private.toml", only=("membership",))


def auc(report: Report, threat: str) -> Measurement:
    return next(row for row in report.measurements if row.name == "membership_auc" and row.threat == threat)


def test_every_planted_weakness_is_found_and_nothing_else(before):
    text = (EXAMPLE / "WEAKNESSES.md").read_text(encoding="utf-8")
    planted = set(re.findall(r"^\| `([\w.]+)` \| `([^`]+)` \|", text, flags=re.MULTILINE))
    found = {(row.rule, str(row.location)): row.severity for row in before.findings}
    assert len(planted) == 8
    assert planted <= set(found)
    assert {key for key, severity in found.items() if severity in ("medium", "high", "critical")} <= planted


def test_the_model_as_found_leaks_to_an_attacker_with_references_only(before):
    assert auc(before, "membership").low > 0.5
    assert auc(before, "lone").low < 0.5 < auc(before, "lone").high
    assert before.verdict().status == "not met"


def test_after_private_training_no_leak_is_found_and_the_bound_is_met(after):
    row = auc(after, "membership")
    assert row.low < 0.5 < row.high
    assert row.high <= 0.60


def test_both_project_files_differ_in_the_model_alone():
    first, second = (
        (EXAMPLE / name).read_text(encoding="utf-8").splitlines()[1:] for name in ("hauberk.toml", "private.toml")
    )
    differing = [pair for pair in zip(first, second, strict=True) if pair[0] != pair[1]]
    assert differing == [('source = "model.safetensors"', 'source = "model_private.safetensors"')]


def test_the_story_prints_what_the_shipped_models_give(before, after):
    told = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    # Reference models are trained anew: another processor rounds otherwise, and the third digit moves.
    rows = re.findall(r"^\| membership AUC.*?\| \**(\.\d+)[^|]*\| \**(\.\d+)", told, flags=re.MULTILINE)
    (first, second), (lone, _) = rows
    assert auc(before, "membership").value == pytest.approx(float(first), abs=0.02)
    assert auc(after, "membership").value == pytest.approx(float(second), abs=0.02)
    assert auc(before, "lone").value == pytest.approx(float(lone), abs=0.005)


def test_hardening_measures_before_and_after_with_reference_models(before, tmp_path):
    done = hauberk.harden(
        Path(shutil.copytree(EXAMPLE, tmp_path / "patients", ignore=SCRAPS)),
        threat="membership",
        defense="privacy.dp_sgd",
        settings={"delta": 1e-3, "steps": 60, "batch": 64},
        weights=tmp_path / "after.safetensors",
    )
    rows = [row for row in done.report.measurements if row.name == "membership_auc" and "guessing" in row.note]
    assert [row.role for row in rows] == ["diagnostic", "headline"]
    assert rows[0].value == pytest.approx(auc(before, "membership").value, abs=1e-6)
    assert rows[1].value < rows[0].value


def test_training_it_privately_keeps_the_promise_the_ledger_and_the_model(patients):
    kept = (patients / "model.safetensors").read_bytes()
    (patients / "model_private.safetensors").unlink()
    done = subprocess.run(
        [sys.executable, "train.py", "--private"], cwd=patients, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert "differential privacy for every patient" in done.stdout
    figures = {name: float(value) for name, value in re.findall(r"^(\w+): ([\d.]+) \[", done.stdout, re.MULTILINE)}
    assert 2.9 < figures["privacy_epsilon"] <= 3
    assert figures["accuracy_private"] > 0.8
    assert (patients / "model_private.safetensors").is_file()
    assert (patients / "model.safetensors").read_bytes() == kept
    ledger = spent(patients)
    assert (ledger.lines, ledger.limit) == (1, 8.0)
    assert ledger.epsilon == pytest.approx(figures["privacy_epsilon"], abs=0.01)
