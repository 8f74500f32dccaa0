"""The optional engine for general Python rules: there, not there, hostile names, broken answers."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from hauberk.core.evidence import Finding, Skipped
from hauberk.core.provenance import Stamp
from hauberk.scanning.general_rules import general_findings
from hauberk.scanning.tree import Listed

_HERE = Path(sys.executable).parent / "ruff"
needs_engine = pytest.mark.skipif(not _HERE.is_file(), reason="the engine is not installed")


def listed(folder: Path, name: str, text: str) -> Listed:
    (folder / name).write_text(text)
    return Listed(folder / name, name)


@needs_engine
def test_it_names_what_ours_do_not(tmp_path):
    files = [listed(tmp_path, "a.py", "import subprocess\nsubprocess.run(x, shell=True)\nassert x\n")]
    (found,) = general_findings(tmp_path, files, Stamp())
    assert isinstance(found, Finding)
    assert (found.rule, found.location.path, found.location.line, found.severity) == (
        "general.injection",
        "a.py",
        2,
        "medium",
    )


@needs_engine
def test_what_was_said_already_is_not_said_again(tmp_path):
    files = [listed(tmp_path, "a.py", "eval(x)\n")]
    assert list(general_findings(tmp_path, files, Stamp(), said=[("a.py", "", 1)])) == []
    assert len(list(general_findings(tmp_path, files, Stamp()))) == 1


@needs_engine
def test_names_are_never_options_and_settings_of_the_project_are_not_read(tmp_path):
    (tmp_path / "ruff.toml").write_text("exclude = ['*']\n")
    (tmp_path / ".gitignore").write_text("*.py\n")
    names = ["--config=x.py", "-h.py", "a b\n.py", "é.py"]
    files = [listed(tmp_path, name, "eval(x)\n") for name in names]
    assert sorted(found.location.path for found in general_findings(tmp_path, files, Stamp())) == sorted(names)


@needs_engine
def test_notebooks_are_read_by_cell_and_noqa_counts_where_it_should(tmp_path):
    cells = [{"cell_type": "code", "source": ["x = 1"], "metadata": {}, "outputs": [], "execution_count": None}]
    cells.append({**cells[0], "source": ["eval(x)  # noqa: S307"]})
    book = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    files = [listed(tmp_path, "a.ipynb", book)]
    assert list(general_findings(tmp_path, files, Stamp())) == []
    (found,) = general_findings(tmp_path, files, Stamp(), noqa=False)
    assert (found.location.part, found.location.line) == ("cell 2", 1)


def test_without_the_engine_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    files = [listed(tmp_path, "a.py", "eval(x)\n")]
    (skipped,) = general_findings(tmp_path, files, Stamp())
    assert isinstance(skipped, Skipped)
    assert (skipped.kind, "not installed" in skipped.reason, "[code]" in skipped.fix) == ("scope", True, True)
    assert list(general_findings(tmp_path, [], Stamp())) == []


@pytest.mark.skipif(not shutil.which("sh"), reason="needs a shell")
@pytest.mark.parametrize("says", ["", "echo not json", "exit 3", "echo '[{\"code\": 1}]'"])
def test_an_engine_that_answers_nonsense_is_a_skip(tmp_path, says):
    engine = tmp_path / "engine"
    engine.write_text(f"#!/bin/sh\n{says}\n")
    engine.chmod(0o755)
    rows = list(general_findings(tmp_path, [listed(tmp_path, "a.py", "eval(x)\n")], Stamp(), engine=engine))
    assert all(isinstance(row, Skipped) for row in rows)
