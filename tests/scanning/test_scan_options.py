"""What a scan does besides its files when asked: the git history, the files beside a model, general Python rules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hauberk.core.evidence import Finding, Measurement, Skipped
from hauberk.core.project import ScanSection
from hauberk.scanning.engine import scan


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, "-C", str(folder), *arguments], check=True, capture_output=True)


def test_a_secret_that_was_taken_out_is_still_in_the_history(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    key = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA7bq0" * 20 + "\n-----END RSA PRIVATE KEY-----\n"
    (tmp_path / "key.pem").write_text(key)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "oops")
    git(tmp_path, "rm", "-q", "key.pem")
    git(tmp_path, "commit", "-qm", "gone")
    assert not [item for item in scan(tmp_path) if isinstance(item, Finding)]
    found = [item for item in scan(tmp_path, ScanSection(history=True)) if isinstance(item, Finding)]
    assert found
    assert found[0].rule.startswith("secrets.")
    assert "commit" in found[0].location.part


def test_weights_behind_a_link_are_named_and_never_kept(tmp_path: Path) -> None:
    import onnx

    outside = tmp_path / "outside.bin"
    outside.write_bytes(bytes(64))
    project = tmp_path / "project"
    project.mkdir()
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[4], data_location=onnx.TensorProto.EXTERNAL)
    for key, value in (("location", "w.bin"), ("offset", "0"), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    graph = onnx.helper.make_graph([], "g", [], [], initializer=[tensor])
    (project / "m.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    (project / "w.bin").write_bytes(bytes(64))
    for index in range(40):
        (project / f"{index}.txt").write_text("text")

    def rules() -> set[str]:
        rows = scan(project, cache=tmp_path / "cache", jobs=1)
        return {
            item.rule for item in rows if isinstance(item, Finding) and item.severity in ("high", "critical", "medium")
        }

    assert rules() == set()
    (project / "w.bin").unlink()
    (project / "w.bin").symlink_to(outside)
    assert "model.external_data" in rules()


def test_general_rules_run_when_asked(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import hashlib\nh = hashlib.md5(b'x')\n")
    rows = list(scan(tmp_path, ScanSection(general=True)))
    if any(isinstance(row, Skipped) and "engine is not installed" in row.reason for row in rows):
        pytest.skip(f"ruff is not installed beside {Path(sys.executable).name}")
    assert "general.cryptography" in {row.rule for row in rows if isinstance(row, Finding)}
    assert not [row for row in scan(tmp_path) if isinstance(row, Finding) and row.rule.startswith("general.")]


def test_the_age_of_the_advisories_is_a_figure(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("torch==2.13.0\n")
    names = {row.name for row in scan(tmp_path) if isinstance(row, Measurement)}
    assert "advisories_age" in names
