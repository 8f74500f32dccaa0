"""`privacy leakage` and `privacy memorisation` end to end: what applies is measured, what is wrong is said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hauberk.api.privacy_leakage import leakage, memorisation
from hauberk.core.errors import DataError, ProjectError, UnknownName

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def heads(report):
    return {(row.name, row.threat) for row in report.measurements if row.role == "headline"}


def test_a_table_of_trees_is_asked_for_its_sensitive_columns():
    report = leakage(EXAMPLES / "credit", only=("attributes",))
    found = heads(report)
    assert ("attribute_inference_gain", "attribute_tree on age") in found
    assert ("attribute_inference_member_gap", "attribute_black_box on foreign_worker") in found
    assert len(found) == 2 * 3 * 3
    one = heads(leakage(EXAMPLES / "credit", attacks=("privacy.attribute_confidence",), columns=("purpose",)))
    assert {threat for _, threat in one} == {"attribute_confidence on purpose"}
    with pytest.raises(UnknownName, match="colour"):
        leakage(EXAMPLES / "credit", columns=("colour",))


def test_a_network_is_inverted_and_its_gradients_are_read():
    report = leakage(
        EXAMPLES / "digits",
        attacks=("privacy.mi_face", "privacy.analytic_gradient"),
        settings={"privacy.mi_face": {"steps": 20}},
    )
    assert ("inversion_similarity", "mi_face") in heads(report)
    (gap,) = report.skipped
    assert "does not see the input" in gap.reason
    with pytest.raises(ProjectError, match="none of these"):
        leakage(EXAMPLES / "digits", attacks=("privacy.rmia",))


def test_rows_and_texts_are_searched(tmp_path):
    rng = np.random.default_rng(0)
    train, held = rng.random((200, 4)), rng.random((200, 4))
    np.save(tmp_path / "train.npy", train)
    np.savez(tmp_path / "held.npz", x=held)
    np.save(tmp_path / "made.npy", np.concatenate((train[:20], rng.random((20, 4)))))
    report = memorisation(tmp_path / "made.npy", tmp_path / "train.npy", tmp_path / "held.npz")
    exact = next(row for row in report.measurements if row.name == "memorised_exact")
    assert exact.value == 0.5
    (tmp_path / "train.txt").write_text("one sentence that stands in the training data, word for word\n")
    rows = [
        "One sentence that stands in the training data, word for word",
        {"text": "nothing of the kind is said here at all today"},
    ]
    (tmp_path / "made.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    report = memorisation(tmp_path / "made.jsonl", tmp_path / "train.txt")
    near = next(row for row in report.measurements if row.name == "memorised_near")
    assert near.value == 0.5


def test_what_is_wrong_with_files_is_said(tmp_path):
    (tmp_path / "a.txt").write_text("hello there\n")
    (tmp_path / "b.jsonl").write_text('{"no": 1}\n')
    (tmp_path / "c.jsonl").write_text("{\n")
    np.save(tmp_path / "d.npy", np.zeros((3, 2)))
    np.save(tmp_path / "e.npy", np.zeros((3, 5)))
    np.save(tmp_path / "f.npy", np.array([None, 1], dtype=object), allow_pickle=True)
    for made, words in (
        ("b.jsonl", "has no text"),
        ("c.jsonl", "no JSON"),
        ("d.npy", "others rows"),
        ("gone.txt", "cannot be read"),
    ):
        with pytest.raises(DataError, match=words):
            memorisation(tmp_path / made, tmp_path / "a.txt")
    with pytest.raises(DataError, match="shape"):
        memorisation(tmp_path / "e.npy", tmp_path / "d.npy")
    with pytest.raises(DataError, match="cannot be read"):
        memorisation(tmp_path / "f.npy", tmp_path / "d.npy")


def test_the_command_line(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", member=np.arange(400) % 2, losses=rng.random(400) + 0.5 * (np.arange(400) % 2 == 0))

    def run(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "hauberk", "privacy", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    done = run("audit", "a.npz", "--records", "r.csv", "--format", "json", "-q")
    assert done.returncode == 0, done.stderr
    names = {row["name"] for row in json.loads(done.stdout)["evidence"] if row.get("type") == "measurement"}
    assert "membership_auc" in names
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 401
    assert run("audit", "a.npz", "--max-auc", "0.5").returncode == 1
    assert run("audit", "a.npz", "--set", "x=1").returncode == 2
    assert run("audit", "gone.npz").returncode == 2
    assert run("nothing").returncode == 2
