"""The GitHub Action's and the pre-commit hook's own commands, run as those would run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def action() -> dict:
    return yaml.safe_load((ROOT / "action.yml").read_text())


@pytest.mark.parametrize("command", ["check", "scan"])
def test_the_action_runs_writes_and_reports_its_status(small, command):
    inputs = {name: spec["default"] for name, spec in action()["inputs"].items()}
    assert inputs["command"] == "check"
    script = next(step["run"] for step in action()["runs"]["steps"] if step.get("id") == "run")
    output, summary = small.folder / "out.txt", small.folder / "summary.md"
    environment = os.environ | {
        "COMMAND": command,
        "PROJECT": ".",
        "ARGUMENTS": "--only pixels" if command == "check" else "",
        "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(summary),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=small.folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert output.read_text() == "status=0\n"
    assert (small.folder / "hauberk-report" / "report.sarif").exists()
    assert summary.exists() == (command == "check")


def test_the_hook_names_what_is_wrong_and_fails(small):
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    program, *arguments = hook["entry"].split()
    assert (program, hook["language"], hook["pass_filenames"]) == ("hauberk", "python", True)
    small.write("hauberk.toml", "")
    small.write("bad.py", "import pickle\nmodel = pickle.load(open('model.pkl', 'rb'))\n")
    done = small.run(*arguments, "bad.py", "model.py")
    assert done.returncode == 1
    assert "bad.py:2" in done.stdout
    assert "code.unsafe_load" in done.stdout
    assert "model.py" not in done.stdout
    assert small.run(*arguments, "model.py").returncode == 0
