"""Small projects that the end-to-end tests run the real command line on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"

SMALL = """\
name = "small"
[model]
source = "model.safetensors"
factory = "model:build"
bounds = [0, 1]
[data]
source = "bundled:digits"
[threats.pixels]
norm = "linf"
radius = 0.1
samples = 40
attacks = ["evasion.fgsm"]
[threats.more]
norm = "l2"
radius = 0.5
samples = 40
attacks = ["evasion.pgd"]
[policy]
fail_on = "never"
incomplete = "report"
"""

BLACK_BOX = """\
name = "box"
[model]
source = "box:predict"
kind = "python_callable"
bounds = [0, 1]
answers = "probabilities"
timeout = 2
[data]
source = "data.npz"
[threats.pixels]
knowledge = "score"
norm = "linf"
radius = 0.1
queries = 20
samples = 20
[policy]
fail_on = "never"
"""


class Project:
    """A folder and the command line run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, *arguments: str, **options) -> subprocess.Popen:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "120"}
        return subprocess.Popen(
            [sys.executable, "-m", "hauberk", *arguments],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=timeout)
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def report(self):
        from hauberk.api.reporting import load

        return load(self.folder / "hauberk-report" / "report.json")


@pytest.fixture
def small(tmp_path) -> Project:
    """A conv net on digits, two quick threats."""
    for name in ("model.py", "model.safetensors"):
        shutil.copy(EXAMPLES / "digits" / name, tmp_path)
    project = Project(tmp_path)
    project.write("hauberk.toml", SMALL)
    return project


@pytest.fixture
def box(tmp_path) -> Project:
    """A Python callable on 8 features of 2 classes; the test writes box.py."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.random((60, 8), dtype=np.float32)
    np.savez(tmp_path / "data.npz", x=x, y=(x[:, 0] > 0.5).astype(np.int64))
    project = Project(tmp_path)
    project.write("hauberk.toml", BLACK_BOX)
    project.write("box.py", GOOD_BOX)
    return project


GOOD_BOX = """\
import numpy as np

def predict(x):
    p = 1 / (1 + np.exp(-20 * (np.asarray(x)[:, 0] - 0.5)))
    return np.stack([1 - p, p], axis=1).astype(np.float32)
"""
