"""Ownership of a suspect in a file, through the API and the command."""

from __future__ import annotations

import json

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from torch import nn

from hauberk.api.owning import ownership
from hauberk.cli.verify_command import command
from hauberk.core.errors import DataError, HauberkError, UsageError
from hauberk.core.protocols import TargetSpec
from hauberk.defenses.plain_training import Course, fit
from hauberk.defenses.secret_marks import marks

SECRET = "a secret of many characters"
SPEC = TargetSpec(name="t", kind="test", shape=(6,), classes=3, bounds=(0.0, 1.0))
NETWORK = """from torch import nn


def build():
    return nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 3))
"""
PROJECT = """[model]
factory = "suspected_network:build"
source = "own.safetensors"
bounds = [0.0, 1.0]
shape = [6]
classes = 3
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret.txt").write_text(SECRET + "\n")
    (tmp_path / "suspected_network.py").write_text(NETWORK)
    (tmp_path / "hauberk.toml").write_text(PROJECT)
    x, y = marks(SECRET, SPEC, 50)
    for name, labels in (("marked", y), ("other", y.roll(1))):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            net = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 3))
        fit(net, x, labels, Course(epochs=200, rate=1e-2), torch.Generator().manual_seed(0))
        save_file(net.state_dict(), tmp_path / f"{name}.safetensors")
    return tmp_path


def test_a_marked_suspect_is_told_from_another(folder) -> None:
    found = ownership(folder / "marked.safetensors", folder / "secret.txt", project=folder)
    assert found.proven
    assert found.matches >= 48
    assert not ownership(folder / "other.safetensors", folder / "secret.txt", project=folder).proven
    asked = ["--ownership", str(folder / "secret.txt"), "--project", str(folder)]
    for name, status in (("marked", 0), ("other", 1)):
        done = CliRunner().invoke(
            command, [str(folder / f"{name}.safetensors"), *asked, "--format", "json"], standalone_mode=False
        )
        assert done.exception is None, done.output
        assert done.return_value == status
        assert (json.loads(done.output)["p"] <= 1e-4) == (status == 0)
    line = CliRunner().invoke(command, [str(folder / "marked.safetensors"), *asked], standalone_mode=False).output
    assert "carries the mark" in line


def test_a_secret_that_is_none_is_refused(tmp_path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        ownership("x.onnx", tmp_path / "missing.txt")


def test_a_short_secret_is_refused(folder) -> None:
    (folder / "short.txt").write_text("short")
    with pytest.raises(UsageError, match="characters"):
        ownership(folder / "marked.safetensors", folder / "short.txt", project=folder)


def test_a_suspect_is_never_trusted_with_code(folder) -> None:
    (folder / "hauberk.toml").write_text(PROJECT.replace("classes = 3", "classes = 3\ntrust = true"))
    (folder / "suspect.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(HauberkError, match=r"trust|code"):
        ownership(folder / "suspect.pkl", folder / "secret.txt", project=folder)
