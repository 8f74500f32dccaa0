"""`privacy audit` from arrays and from projects: any model, its traps noticed, records by index."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from hauberk.api import privacy_audit
from hauberk.api.privacy_audit import audit
from hauberk.core.encoding import canonical
from hauberk.core.errors import DataError, ProjectError
from hauberk.core.evidence import Skipped

N, CLASSES = 1200, 4


def answers(lift: float = 1.5, models: int = 5, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels, difficulty = rng.integers(CLASSES, size=N), 3 * rng.standard_normal(N)
    member = np.stack([rng.permutation(N) < N // 2 for _ in range(models)])
    logits = rng.standard_normal((models, N, CLASSES)) * 0.5
    for own, rows in zip(logits, member, strict=True):
        own[np.arange(N), labels] += difficulty + lift * rows + 0.5 * rng.standard_normal(N)
    return {
        "logits": logits[0],
        "labels": labels,
        "member": member[0],
        "reference_logits": logits[1:],
        "reference_member": member[1:],
    }


def saved(folder, held):
    np.savez(folder / "answers.npz", **held)
    return folder / "answers.npz"


def heads(report, name: str = "membership_auc"):
    return {row.threat: row for row in report.measurements if row.name == name and row.role == "headline"}


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def test_a_model_of_any_framework_is_audited_by_its_answers(tmp_path, clock):
    report = audit(saved(tmp_path, answers()), records=tmp_path / "risks.csv", clock=clock)
    found = heads(report)
    assert set(found) == {"rmia", "lira", "loss_threshold"}
    assert found["rmia"].low > found["loss_threshold"].high
    assert report.verdict().exit_status == 0
    rows = list(csv.DictReader((tmp_path / "risks.csv").open()))
    held = answers()["member"]
    (gap,) = {row.reason for row in report.skipped if "left out" in row.reason}
    assert 0 < int(gap.split()[0]) < N / 4
    assert len(rows) > 0.7 * N
    assert all(int(row["member"]) == held[int(row["record"])] for row in rows)
    assert len({int(row["record"]) for row in rows}) == len(rows)
    risk = np.array([float(row["risk"]) for row in rows])
    inside = np.array([row["member"] == "1" for row in rows])
    assert risk[inside].mean() > risk[~inside].mean() + 0.1
    exposed = [row for row in report.measurements if row.name == "membership_risk"]
    assert len(exposed) == 10
    groups = [row for row in report.measurements if row.name == "membership_auc" and row.along == "group"]
    assert groups
    assert all("groups looked at" in row.note for row in groups)
    again = audit(tmp_path / "answers.npz", clock=clock)
    assert canonical(again.evidence) == canonical(report.evidence)


def test_without_references_thresholds_are_run(tmp_path):
    held = {key: value for key, value in answers().items() if not key.startswith("reference")}
    report = audit(saved(tmp_path, held))
    assert set(heads(report)) == {"loss_threshold", "modified_entropy", "attack_p"}
    gaps = [row.reason for row in report.skipped]
    assert any("10000 are needed" in reason for reason in gaps)


def test_a_bound_decides_the_exit_status(tmp_path):
    path = saved(tmp_path, answers())
    assert audit(path, most_auc=0.55).verdict().exit_status == 1
    assert audit(path, most_auc=0.99).verdict().exit_status == 0


@pytest.mark.parametrize(("name", "kind"), [("probabilities", "logits"), ("logits", "probabilities")])
def test_logits_where_probabilities_are_declared_are_noticed(tmp_path, name, kind):
    held = answers()
    right = heads(audit(saved(tmp_path, held)))["rmia"]
    told, others = held.pop("logits"), held.pop("reference_logits")
    if kind == "probabilities":
        told, others = softmax(told), softmax(others)
    report = audit(saved(tmp_path, {**held, name: told, f"reference_{name}": others}))
    wrong = heads(report)["rmia"]
    (check,) = [row for row in wrong.indicators if "declared" in row.name]
    assert check.passed is False
    assert f"are {kind}" in check.detail
    assert wrong.value == pytest.approx(right.value, abs=1e-4), "they were read as what they are"


def test_records_given_twice_and_shifted_ones_are_called_out(tmp_path):
    held = answers()
    rng = np.random.default_rng(3)
    x = rng.random((N, 4))
    inside, outside = np.flatnonzero(held["member"]), np.flatnonzero(~held["member"])
    x[outside[:7]], held["labels"][outside[:7]] = x[inside[:7]], held["labels"][inside[:7]]
    checks = {row.name: row for row in heads(audit(saved(tmp_path, {**held, "x": x})))["rmia"].indicators}
    assert checks["no record is both a member and a non-member"].passed is False
    assert checks["no record is both a member and a non-member"].detail.startswith("7 of 600")
    assert checks["train and test inputs come from one distribution"].passed is True
    x = rng.random((N, 4)) + 0.5 * held["member"][:, None]
    checks = {row.name: row for row in heads(audit(saved(tmp_path, {**held, "x": x})))["rmia"].indicators}
    assert checks["train and test inputs come from one distribution"].passed is False


def test_references_that_do_not_mimic_the_target_are_called_out(tmp_path):
    held = answers()
    held["reference_logits"] = held["reference_logits"] * 0.01 + np.random.default_rng(0).standard_normal(
        held["reference_logits"].shape
    )
    (check,) = [row for row in heads(audit(saved(tmp_path, held)))["rmia"].indicators if "reference" in row.name]
    assert check.passed is False
    assert "understate" in check.detail


def test_regressors_and_losses_and_encoders(tmp_path):
    rng = np.random.default_rng(1)
    member = rng.permutation(N) < N // 2
    values = rng.standard_normal(N)
    told = values + np.where(member, 0.3, 1.0) * rng.standard_normal(N)
    auc = heads(audit(saved(tmp_path, {"member": member, "values": values, "predictions": told})))["loss_threshold"]
    assert auc.low > 0.65
    losses = (told - values) ** 2
    same = heads(audit(saved(tmp_path, {"member": member, "losses": losses})))["loss_threshold"]
    assert same.value == pytest.approx(auc.value, abs=1e-9)
    centre = rng.standard_normal((N, 1, 16))
    views = centre + np.where(member, 0.3, 0.8)[:, None, None] * rng.standard_normal((N, 4, 16))
    assert heads(audit(saved(tmp_path, {"member": member, "embeddings": views})))["loss_threshold"].low > 0.9


def test_label_only_answers_are_the_gap_attack(tmp_path):
    held = answers(lift=6.0)
    told = {"predicted_labels": held["logits"].argmax(1), "labels": held["labels"], "member": held["member"]}
    report = audit(saved(tmp_path, told), attacks=("privacy.loss_threshold",))
    assert "gap attack" in heads(report)["loss_threshold"].note


def texts(n: int = 400, t: int = 30):
    rng = np.random.default_rng(2)
    member = np.arange(n) % 2 == 0
    hardness = rng.standard_normal(n)[:, None]
    mean, deviation = -3 + hardness + rng.standard_normal((n, t)), np.full((n, t), 1.0)
    tokens = mean + rng.standard_normal((n, t)) + 0.4 * member[:, None]
    return {
        "member": member,
        "token_log_probabilities": tokens,
        "lengths": rng.integers(20, t + 1, n),
        "token_mean": mean,
        "token_deviation": deviation,
        "zlib": np.full(n, 60),
        "reference_token_log_probabilities": mean + 0.3 * rng.standard_normal((n, t)),
    }


def test_sequences_are_audited_by_five_attacks(tmp_path):
    report = audit(saved(tmp_path, texts()))
    found = heads(report)
    assert set(found) == {"token_loss", "min_k", "min_k_plus", "zlib_ratio", "reference_ratio"}
    assert found["reference_ratio"].low > found["token_loss"].high
    assert found["min_k_plus"].low > found["min_k"].high
    held = {key: texts()[key] for key in ("member", "token_log_probabilities")}
    report = audit(saved(tmp_path, held))
    assert set(heads(report)) == {"token_loss", "min_k"}
    assert len([row for row in report.evidence if isinstance(row, Skipped) and "needs" in row.reason]) == 3


def test_canaries_have_an_exposure(tmp_path):
    rng = np.random.default_rng(0)
    references = rng.standard_normal(1023) * 2 + 50
    report = audit(saved(tmp_path, {"canaries": np.array([30.0, 50.0]), "canary_references": references}))
    (found,) = heads(report, "canary_exposure").values()
    assert found.value == pytest.approx(10.0)
    assert "p = 0.00195" in found.note
    further = [row for row in report.measurements if row.name == "canary_exposure_extrapolated"]
    assert further[0].value > 20


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"member": None}, "not `member`"),
        ({"member": np.ones(N)}, "are members"),
        ({"member": np.full(N, 2)}, "0 and 1"),
        ({"labels": None}, "true classes are missing"),
        ({"labels": np.full(N, CLASSES)}, "integers 0 to 3"),
        ({"logits": np.full((N, CLASSES), np.nan)}, "NaN"),
        ({"logits": np.zeros((N - 1, CLASSES))}, "rows"),
        ({"logits": None}, "no answers"),
        ({"reference_member": np.zeros((2, N))}, "expected"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, change, words):
    held = {key: value for key, value in {**answers(), **change}.items() if value is not None}
    with pytest.raises(DataError, match=words):
        audit(saved(tmp_path, held))


def test_files_that_are_no_archive_and_attacks_that_do_not_fit_are_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="cannot be read"):
        audit(tmp_path / "a.npz")
    with pytest.raises(DataError, match="cannot be read"):
        audit(tmp_path / "missing.npz")
    path = saved(tmp_path, answers())
    with pytest.raises(ProjectError, match="no membership attack"):
        audit(path, attacks=("privacy.min_k",))


PROJECT = """\
name = "p"
[model]
source = "model:build"
bounds = [0, 1]
[data]
source = "data.npz"
test_share = 0.5
[privacy]
references = 4
epochs = 60
[threats.membership]
preset = "membership"
[[policy.require]]
measurement = "membership_auc"
threat = "membership"
max = 0.99
"""
MODEL = """\
import numpy as np
import torch
def build():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    return net
def train(x, y, seed):
    net = build()
    torch.manual_seed(seed)
    with open("calls.txt", "a") as file:
        file.write(f"{len(x)} {seed}\\n")
    return net
"""


def project(folder, extra: str = ""):
    rng = np.random.default_rng(0)
    np.savez(folder / "data.npz", x=rng.random((160, 8), dtype=np.float32), y=rng.integers(3, size=160))
    (folder / "model.py").write_text(MODEL)
    (folder / "hauberk.toml").write_text(PROJECT.replace("epochs = 60", f"epochs = 60\n{extra}"))
    return folder


def test_a_project_trains_references_once(tmp_path, monkeypatch):
    folder = project(tmp_path)
    first = audit(folder)
    kept = sorted((folder / ".hauberk" / "references").glob("*.npz"))
    assert len(kept) == 4
    monkeypatch.setattr("hauberk.attacks.shadows.train_stacked", lambda *a, **k: pytest.fail("it trained again"))
    again = audit(folder)
    assert heads(first)["rmia"].value == heads(again)["rmia"].value
    kept[0].write_bytes(b"broken")
    with pytest.raises(pytest.fail.Exception):
        audit(folder)


def test_check_uses_references_too(tmp_path):
    import hauberk

    report = hauberk.check(project(tmp_path), only=("membership",))
    auc = heads(report)["membership"]
    assert auc.provenance.recipe == "privacy.rmia"


def test_the_projects_own_trainer_is_called(tmp_path, monkeypatch):
    folder = project(tmp_path, 'trainer = "model:train"')
    monkeypatch.chdir(tmp_path)
    report = audit(folder, attacks=("privacy.rmia",))
    assert "rmia" in heads(report)
    assert [line.split()[0] for line in (tmp_path / "calls.txt").read_text().splitlines()] == ["80"] * 4
    audit(folder, attacks=("privacy.rmia",))
    assert len((tmp_path / "calls.txt").read_text().splitlines()) == 4


def test_a_trainer_that_fails_is_a_gap_with_a_reason(tmp_path):
    folder = project(tmp_path, 'trainer = "model:train"')
    (folder / "model.py").write_text(MODEL.replace("    torch.manual_seed(seed)\n", "    raise RuntimeError('no')\n"))
    report = audit(folder, attacks=("privacy.rmia",))
    assert any("raised RuntimeError: no" in row.reason for row in report.skipped)
    with pytest.raises(ProjectError, match="no"):
        audit(project(tmp_path, 'trainer = "model:nothing"'))


def test_references_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(ProjectError, match="batch 1"):
        audit(project(tmp_path, "batch = 1"))


def test_defaults_are_in_the_catalogue():
    from hauberk.core import plugins

    names = {entry.name for entry in plugins.catalog("attacks")}
    assert {*privacy_audit.ALONE, *privacy_audit.COMPARING, *privacy_audit.TEXTS} <= names
