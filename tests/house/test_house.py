"""The house itself: sizes, first lines, public names, words that must not stand in it."""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

import hauberk

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src" / "hauberk").rglob("*.py"))


def _tool(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sizes():
    assert _tool("sizes").long_files(ROOT) == []


def test_the_size_check_can_fail(tmp_path):
    folder = tmp_path / "src" / "hauberk"
    folder.mkdir(parents=True)
    (folder / "long.py").write_text("def f():\n" + "    x = 1\n" * 450)
    assert _tool("sizes").long_files(tmp_path) == ["long.py: 451 lines", "long.py:f: 451 lines"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_says_what_lives_in_it(path):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, "the first line must say what lives here"
    assert docstring.splitlines()[0].endswith((".", ":", "?"))


def test_names_that_say_nothing():
    assert not [path for path in SOURCES if path.stem in {"utils", "helpers", "common", "manager", "misc"}]


def test_public_names():
    """The snapshot of what users import: change it on purpose."""
    expected = (ROOT / "tests" / "house" / "public_names.txt").read_text().split()
    assert sorted(hauberk.__all__) == expected
    for name in hauberk.__all__:
        assert getattr(hauberk, name) is not None


def test_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == hauberk.__version__
    assert f"[{hauberk.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_torch_is_pinned():
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().splitlines()


def test_no_path_of_a_machine():
    pattern = re.compile(r"/(work|root|home/\w+)/[\w.]+")
    texts = [*SOURCES, *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "examples").rglob("*.py")]
    assert [path.name for path in texts if pattern.search(path.read_text(encoding="utf-8"))] == []


def test_importing_the_face_loads_nothing_heavy():
    import subprocess
    import sys

    heavy = {"torch", "numpy", "sklearn", "msgspec", "rich", "click"}
    code = f"import sys, hauberk; print(sorted(set(sys.modules) & {heavy!r}))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
