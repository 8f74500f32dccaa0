"""Secrets that a history holds: found once with their commit, while nothing of the repository's own is run."""

from __future__ import annotations

import random
import shutil
import string
import subprocess
from pathlib import Path

import pytest

from hauberk.core.errors import UsageError
from hauberk.core.limits import DEFAULT_LIMITS
from hauberk.scanning.artifact import Artifact
from hauberk.scanning.git_history import past_secrets
from hauberk.scanning.secret_search import secrets_in

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
_RNG = random.Random(3)


def rand(length: int) -> str:
    return "".join(_RNG.choice(string.ascii_letters + string.digits) for _ in range(length))


class Repository:
    """A repository in a folder, one commit a call."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "-q")

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.root), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, **files: str | None) -> str:
        for name, text in files.items():
            path = self.root / name
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-qm", "x")
        return self.git("rev-parse", "HEAD")

    def found(self, since: str = "") -> list[tuple[str, str, tuple[str, ...]]]:
        return [
            (item.path, item.part, tuple(hit.name for note in item.notes for hit in secrets_in(note.text)))
            for item in past_secrets(self.root, since=since, limits=DEFAULT_LIMITS)
            if not item.problems
        ]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_a_deleted_secret_is_found_with_its_oldest_commit(repository):
    key, other = f"sk-proj-{rand(100)}", f"gsk_{rand(52)}"
    first = repository.commit(env=f"A=1\nKEY={key}\n")
    second = repository.commit(env=f"A=2\nKEY={key}\nOTHER={other}\n")
    repository.commit(env=None, b="b")
    assert repository.found() == [
        ("env", f"commit {first[:12]}", ("OpenAI key",)),
        ("env", f"commit {second[:12]}", ("Groq key",)),
    ]
    assert repository.found(first) == [("env", f"commit {second[:12]}", ("OpenAI key", "Groq key"))]


def test_what_is_still_there_is_left_to_the_scan_of_today(repository):
    key = f"glpat-{rand(20)}"
    repository.commit(a=f"t={key}\n")
    repository.commit(a=f"t={key}\nmore\n")
    assert repository.found() == []


def test_other_branches_and_stashes_are_history_too(repository):
    repository.commit(a="a")
    main = repository.git("rev-parse", "--abbrev-ref", "HEAD")
    repository.git("checkout", "-qb", "side")
    side = repository.commit(b=f"r8_{rand(37)}")
    repository.git("checkout", "-q", main)
    assert [(path, part) for path, part, _ in repository.found()] == [("b", f"commit {side[:12]}")]


def test_nothing_of_the_repository_is_run(repository, tmp_path_factory):
    trap = tmp_path_factory.mktemp("trap") / "sprung"
    repository.commit(a=f"hf_{rand(34)}", b="1")
    repository.commit(a="x", b="2")
    (repository.root / ".gitattributes").write_text("* diff=evil filter=evil\n")
    repository.commit(c="3")
    for key in (
        "diff.evil.textconv",
        "diff.evil.command",
        "diff.external",
        "core.fsmonitor",
        "filter.evil.smudge",
        "core.pager",
    ):
        repository.git("config", key, f"touch {trap}")
    program = repository.root.parent / "evil"
    program.write_text(f"#!/bin/sh\ntouch {trap}\n")
    program.chmod(0o755)
    repository.git("config", "gpg.program", str(program))
    repository.git("config", "log.showSignature", "true")
    assert [path for path, _, _ in repository.found()] == ["a"]
    assert not trap.exists()


def test_attributes_hide_nothing(repository):
    repository.commit(a=f"hf_{rand(34)}", **{".gitattributes": "a -diff binary\n"})
    repository.commit(a="gone")
    assert [path for path, _, _ in repository.found()] == ["a"]


def test_binary_and_large_files_do_not_stop_it(repository):
    (repository.root / "m.bin").write_bytes(bytes(range(256)) * 1000)
    repository.commit(large="x" * (5 << 20), a=f"hf_{rand(34)}")
    repository.commit(large=None, a="gone")
    found = list(past_secrets(repository.root, limits=DEFAULT_LIMITS))
    assert [item.path for item in found if not item.problems] == ["a"]
    assert [problem.kind for item in found for problem in item.problems] == ["limit"]


def test_a_folder_of_a_repository_has_its_own_history(repository):
    (repository.root / "sub").mkdir()
    repository.commit(**{"sub/a": f"hf_{rand(34)}", "b": f"hf_{rand(34)}"})
    repository.commit(**{"sub/a": "gone", "b": "gone"})
    found = list(past_secrets(repository.root / "sub", limits=DEFAULT_LIMITS))
    assert [item.path for item in found] == ["a"]
    assert all(isinstance(item, Artifact) for item in found)


def test_no_repository_is_said(tmp_path):
    with pytest.raises(UsageError):
        list(past_secrets(tmp_path, limits=DEFAULT_LIMITS))
