"""`hauberk harden` as a user calls it: what is printed, what is written, and how faults end."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

PROJECT = """
name = "small"
[model]
source = "net.safetensors"
factory = "net:build"
bounds = [0, 1]
[data]
source = "bundled:digits"
[threats.pixels]
norm = "linf"
radius = 0.1
samples = 10
"""
FACTORY = """
from torch import nn
def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hauberk.toml").write_text(PROJECT, encoding="utf-8")
    (tmp_path / "net.py").write_text(FACTORY, encoding="utf-8")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_file(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).state_dict(), tmp_path / "net.safetensors")
    return tmp_path


def hauberk(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hauberk", *words], capture_output=True, text=True, timeout=120, check=False
    )


def test_a_budget_is_kept_and_files_are_named(folder) -> None:
    done = hauberk("harden", str(folder), "--budget", "1s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the budget pays for about" in done.stdout
    assert "net.hardened.safetensors" in done.stdout
    assert "net.hardened.card.md" in done.stdout
    assert "% robust" in done.stderr or "robust" in done.stderr
    assert {path.name for path in folder.glob("*.hardened.*")} == {
        "net.hardened.safetensors",
        "net.hardened.card.md",
        "net.hardened.report.json",
    }


def test_workers_train_together(folder) -> None:
    done = hauberk("harden", str(folder), "--defense", "trades", "--workers", "2", "--set", "epochs=1", "-q")
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert (folder / "net.hardened.safetensors").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--budget", "soon"), "no span of time"),
        (("--resume",), "no checkpoint to resume"),
        (("--defense", "traders"), "trades"),
        (("--set", "epoch=3"), "epochs"),
        (("--defense", "detection.mahalanobis"), "hardens nothing"),
    ],
)
def test_faults_end_with_status_2_and_what_to_do(folder, words, said) -> None:
    done = hauberk("harden", str(folder), "--samples", "2", *words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert not list(folder.glob("*.hardened.*"))
