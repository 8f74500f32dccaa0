"""--changed-since: files compared by blob id, and a repository's own programs never run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hauberk.core.errors import UsageError
from hauberk.core.evidence import Skipped
from hauberk.scanning.engine import scan
from hauberk.scanning.git_changes import changed_since
from hauberk.scanning.tree import survey


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, "-C", str(folder), *arguments], check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q")
    for name in ("same.py", "changed.py", "grown.py"):
        (folder / name).write_text("x = 1\n")
    (folder / "sub").mkdir()
    (folder / "sub" / "b c.py").write_text("y = 2\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    (folder / "changed.py").write_text("x = 2\n")
    (folder / "grown.py").write_text("x = 1\nz = 3\n")
    (folder / "new.py").write_text("n = 1\n")
    return folder


def names(folder: Path, revision: str) -> list[str]:
    return [one.path for one in changed_since(folder, revision, survey(folder, (".",), ()).files)]


def test_changed_and_new_files_only(project: Path) -> None:
    assert names(project, "HEAD") == ["changed.py", "grown.py", "new.py"]


def test_a_folder_inside_the_repository(project: Path) -> None:
    (project / "sub" / "d.py").write_text("d\n")
    assert names(project / "sub", "HEAD") == ["d.py"]


def test_the_scan_says_what_it_did_not_look_at(project: Path) -> None:
    entries = [item for item in scan(project, since="HEAD") if isinstance(item, Skipped)]
    assert any(item.subject == "since HEAD" and "2 files have not changed" in item.reason for item in entries)


@pytest.mark.parametrize("revision", ["nowhere", "--output=x", "HEAD~100"])
def test_a_revision_there_is_not(project: Path, revision: str) -> None:
    with pytest.raises(UsageError, match="git"):
        names(project, revision)


def test_no_repository(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="git"):
        names(tmp_path, "HEAD")


def test_programs_named_by_the_repository_do_not_run(project: Path, tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    script = tmp_path / "trap.sh"
    script.write_text(f"#!/bin/sh\ntouch {trap}\ncat\n")
    script.chmod(0o755)
    for key in (
        "core.fsmonitor",
        "core.pager",
        "diff.external",
        "filter.x.clean",
        "filter.x.smudge",
        "core.sshCommand",
    ):
        git(project, "config", key, str(script))
    (project / ".gitattributes").write_text("* filter=x diff=x\n")
    assert "changed.py" in names(project, "HEAD")
    assert not trap.exists()
