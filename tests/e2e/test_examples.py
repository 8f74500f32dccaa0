"""The examples as a new user runs them: every planted weakness is found, and the documented Python works."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch

import hauberk
from hauberk.api.initialising import look, propose
from hauberk.core.project import parse

ROOT = Path(__file__).resolve().parents[2]


def copied(name: str, folder: Path) -> Path:
    return Path(shutil.copytree(ROOT / "examples" / name, folder / name, ignore=shutil.ignore_patterns(".hauberk")))


@pytest.fixture(scope="module", params=["digits", "credit"])
def checked(request, tmp_path_factory):
    folder = copied(request.param, tmp_path_factory.mktemp("example"))
    text = re.sub(r"^samples = \d+$", "", (folder / "hauberk.toml").read_text(), flags=re.MULTILINE)
    (folder / "hauberk.toml").write_text(re.sub(r"^curve = .*$", "", text, flags=re.MULTILINE))
    return request.param, folder, hauberk.check(folder, samples=40)


def planted(folder: Path) -> list[tuple[str, str]]:
    """Read WEAKNESSES.md: table rows of `rule` and `path`."""
    text = (folder / "WEAKNESSES.md").read_text()
    return re.findall(r"^\| `([\w.]+)` \| `([^`]+)` \|", text, flags=re.MULTILINE)


def test_every_planted_weakness_is_found(checked):
    _, folder, report = checked
    found = {(row.rule, str(row.location)) for row in report.findings}
    weaknesses = planted(folder)
    assert len(weaknesses) >= 4
    assert [row for row in weaknesses if row not in found] == [], sorted(found)


def test_nothing_is_found_that_was_not_planted(checked):
    _, folder, report = checked
    found = {(row.rule, str(row.location)) for row in report.findings if row.severity in ("medium", "high", "critical")}
    assert found - set(planted(folder)) == set()


def test_every_threat_is_measured(checked):
    name, _, report = checked
    headlines = {(row.name, row.threat) for row in report.measurements if row.role == "headline"}
    wanted = {
        "digits": {
            ("robust_accuracy", "pixels"),
            ("robust_accuracy", "strokes"),
            ("robust_accuracy", "queries"),
            ("membership_auc", "membership"),
            ("extraction_agreement", "theft"),
            ("backdoor_success", "backdoor"),
        },
        "credit": {
            ("robust_accuracy", "applicant"),
            ("membership_auc", "membership"),
            ("extraction_agreement", "theft"),
        },
    }
    assert headlines >= wanted[name]
    assert report.verdict().status == "not met"


def test_a_table_keeps_its_rules(checked):
    name, _, report = checked
    if name != "credit":
        pytest.skip("only the credit example is a table")
    rows = [row for row in report.exhibits if row.threat == "applicant"]
    assert rows
    for row in rows:
        clean = dict(zip(row.columns, memoryview(row.clean).cast("f"), strict=True))
        changed = dict(zip(row.columns, memoryview(row.adversarial).cast("f"), strict=True))
        moved = {key for key in clean if clean[key] != changed[key]}
        assert 1 <= len(moved) <= 3
        assert moved.isdisjoint({"age", "personal_status_sex", "foreign_worker", "credit_history", "employment_since"})
        assert changed["dependents"] >= clean["dependents"]
        assert all(changed[key] == round(changed[key]) for key in ("amount", "duration_months", "purpose"))


@pytest.mark.parametrize("name", ["digits", "credit"])
def test_init_proposes_a_file_that_reads(name, tmp_path):
    folder = copied(name, tmp_path)
    (folder / "hauberk.toml").unlink()
    text = propose(look(folder))
    project = parse(text)
    assert project.model is not None
    assert "requirements.txt" in text
    assert project.model.source == {"digits": "model.safetensors", "credit": "model.skops"}[name]
    if name == "credit":
        assert project.data.label == "creditability"
        assert "tampering" in project.threats


def test_the_three_line_attack():
    from hauberk.core.threat import LINF_8_255

    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
    x, rng = torch.rand(5, 1, 8, 8), torch.Generator().manual_seed(0)
    y = net(x).argmax(1)

    from hauberk.attacks.evasion.pgd import PGD
    from hauberk.targets import from_torch

    x_adv = PGD(steps=40).run(from_torch(net, bounds=(0, 1)), x, y, LINF_8_255, rng)

    assert x_adv.shape == x.shape
    assert float((x_adv - x).abs().max()) <= 8 / 255
    assert float((x_adv - x).abs().max()) > 0


def test_harden_raises_robust_accuracy_and_saves_loadable_weights(tmp_path):
    folder = copied("digits", tmp_path)
    text = (folder / "hauberk.toml").read_text(encoding="utf-8")
    text = text.replace("radius = 0.1 ", "radius = 0.2 ", 1)  # at 0.1 the example withstands too much to show it on 60
    (folder / "hauberk.toml").write_text(text, encoding="utf-8")
    made = hauberk.harden(folder, threat="pixels", settings={"epochs": 4}, samples=60)
    change = next(row for row in made.report.measurements if row.name == "robust_accuracy_change")
    assert change.low > 0, "adversarial training raises robust accuracy beyond doubt"
    assert made.weights is not None
    text = (folder / "hauberk.toml").read_text().replace('"model.safetensors"', '"model.hardened.safetensors"')
    (folder / "hauberk.toml").write_text(text)
    again = hauberk.check(folder, only=("pixels",), samples=60)
    after = next(row for row in again.measurements if row.name == "robust_accuracy" and row.role == "headline")
    measured = [row.value for row in made.report.measurements if row.name == "robust_accuracy" and row.n == after.n]
    assert after.value > min(measured) + change.value / 2, "what was saved is the hardened network"
