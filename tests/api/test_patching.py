"""Patches: the smallest safe upgrade, every way a pin is written, what is left alone, trials and roll-back."""

from __future__ import annotations

import datetime as dt
import subprocess
import time

import pytest

from hauberk.api.patching import dependencies, patch
from hauberk.api.trying import Trial, _run, try_out
from hauberk.cli.patch_command import command
from hauberk.core.errors import StoreError
from hauberk.scanning.release_index import Listing, Release, ReleaseIndex, pack


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def project(tmp_path):
    def make(**files):
        root = tmp_path / "project"
        root.mkdir(exist_ok=True)
        for name, text in files.items():
            (root / name.replace("__", ".")).write_text(text)
        return root

    return make


@pytest.fixture
def index(tmp_path):
    day = dt.date(2026, 11, 1)
    rows = [Release(version, "2026-01-01", None, ("cc" * 32, "dd" * 32)) for version in ("2.6.0", "2.11.0", "2.13.0")]
    rows.append(Release("2.10.0", "2026-01-01", "broken"))
    path = tmp_path / "index.json.gz"
    path.write_bytes(pack(ReleaseIndex({"torch": Listing(day, tuple(rows))})))
    return path


def test_pins_move_to_the_first_release_without_a_known_weakness(project):
    root = project(
        requirements__txt='# keep\nTorch[x] == 2.5.0 ; python_version > "3"  # why\nflask==3.1.2\n',
        pyproject__toml='[project]\nname = "x"\ndependencies = ["jinja2==3.1.2"]\n'
        '[tool.poetry.dependencies]\nkeras = "3.8.0"\n',
    )
    found = patch(root)
    assert '+Torch[x] == 2.10.0 ; python_version > "3"  # why\n' in found.difference
    assert '+dependencies = ["jinja2==3.1.6"]\n' in found.difference
    assert '+keras = "3.13.2"\n' in found.difference
    assert "flask" not in "".join(line for line in found.difference.splitlines() if line[:1] in "+-")
    assert not any(change.major for change in found.changes)
    assert found.exit_status == 1
    assert "2.5.0" in (root / "requirements.txt").read_text()


def test_the_difference_is_one_that_git_applies_and_apply_writes_the_same(project):
    text = "torch==2.5.0\r\nrequests==2.19.0"
    root = project(requirements__txt="")
    (root / "requirements.txt").write_bytes(text.encode())
    found = patch(root)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "apply"], cwd=root, input=found.difference.encode(), check=True)
    by_git = (root / "requirements.txt").read_bytes()
    (root / "requirements.txt").write_bytes(text.encode())
    done = patch(root, apply=True)
    assert (root / "requirements.txt").read_bytes() == by_git == b"torch==2.10.0\r\nrequests==2.32.4"
    assert done.exit_status == 0
    again = patch(root)
    assert (again.difference, again.exit_status) == ("", 0)


def test_an_index_says_which_releases_there_are_and_their_hashes(project, index):
    root = project(
        requirements__txt="torch==2.5.0 \\\n    --hash=sha256:" + "aa" * 32 + " \\\n    --hash=sha256:" + "bb" * 32
    )
    found = patch(root, index_file=index, apply=True)
    text = (root / "requirements.txt").read_text()
    assert [change.after for change in found.changes] == ["2.11.0"]
    assert text.startswith("torch==2.11.0 \\\n    --hash=sha256:cc")
    assert "aa" * 32 not in text
    assert "bb" * 32 not in text
    assert "dd" * 32 in text


def test_hashes_that_are_not_known_are_not_invented(project):
    root = project(requirements__txt="torch==2.5.0 --hash=sha256:" + "aa" * 32)
    found = patch(root)
    assert found.difference == ""
    assert "hashes are not known" in found.left[0].reason


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"requirements__txt": "torchtriton==2.0"}, "planted"),
        ({"requirements__txt": "torch>=2.0,<2.6"}, "range allows no fixed release"),
        ({"poetry__lock": '[[package]]\nname = "torch"\nversion = "2.5.0"\n'}, "poetry update torch"),
        ({"requirements__txt": "torch==2.5.0", "pyproject__toml": '[project]\nname="x"\ndependencies=["torch<2.6"]'},
         "another range"),
    ],
)  # fmt: skip
def test_what_no_line_mends_is_said(project, files, reason):
    found = patch(project(**files))
    assert found.exit_status == 1
    assert any(reason in left.reason for left in found.left), found.left


def test_another_major_version_only_where_there_is_no_other(project):
    found = patch(project(requirements__txt="transformers==3.0.0\n"))
    assert [(change.before, change.major) for change in found.changes] == [("3.0.0", True)]


def test_a_failed_write_puts_everything_back(project, monkeypatch):
    root = project(requirements__txt="torch==2.5.0\n", setup__cfg="[options]\ninstall_requires =\n  torch==2.5.0\n")
    from hauberk.api import patching

    real, calls = patching._replace, []

    def breaking(file, text, expected):
        calls.append(file)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(file, text, expected)

    monkeypatch.setattr(patching, "_replace", breaking)
    with pytest.raises(StoreError, match="nothing was changed"):
        patch(root, apply=True)
    assert (root / "requirements.txt").read_text() == "torch==2.5.0\n"
    assert "torch==2.5.0" in (root / "setup.cfg").read_text()


def test_names_of_all_dependencies(project):
    root = project(
        requirements__txt="torch==2.5.0\nflask\n", pyproject__toml='[project]\nname="x"\ndependencies=["keras"]'
    )
    assert dependencies(root) == ("flask", "keras", "torch")


def test_a_trial_runs_on_a_copy_and_leaves_the_project_alone(project):
    root = project(requirements__txt="", mark="old")
    trial = try_out(
        root, {"mark": b"new"}, 'test "$(cat mark)" = new && touch made && command -v python | grep -q hauberk-patch'
    )
    assert trial.status == "passed", trial.output
    assert (root / "mark").read_text() == "old"
    assert not (root / "made").exists()


def test_a_trial_that_fails_says_why(project):
    assert try_out(project(mark="old"), {}, "echo why; exit 4") == Trial("failed", "why\n")


def test_what_hangs_is_ended_with_all_that_it_started(tmp_path):
    command = ["/bin/sh", "-c", "(sleep 2; touch late) & sleep 60"]
    assert _run(command, tmp_path, {"PATH": "/usr/bin:/bin"}, 1.0).status == "failed"
    time.sleep(2)
    assert not (tmp_path / "late").exists()


def test_upgrades_that_break_the_tests_are_given_up_and_the_others_written(project, monkeypatch):
    from hauberk.api import patching

    root = project(requirements__txt="torch==2.5.0\nrequests==2.19.0\n")

    def trying(_base, changed, _test, _progress):
        broken = b"torch==2.10.0" in changed["requirements.txt"]
        return Trial("failed" if broken else "passed", "")

    monkeypatch.setattr(patching, "try_out", trying)
    found = patch(root, apply=True, test="make test")
    assert [change.package for change in found.dropped] == ["torch"]
    assert (root / "requirements.txt").read_text() == "torch==2.5.0\nrequests==2.32.4\n"
    assert found.exit_status == 1


def test_an_environment_that_cannot_be_made_changes_nothing(project, monkeypatch):
    from hauberk.api import patching

    monkeypatch.setattr(patching, "try_out", lambda *_: Trial("not run", "no network"))
    root = project(requirements__txt="torch==2.5.0\n")
    found = patch(root, apply=True, test="make test")
    assert (found.exit_status, found.applied, found.difference) == (3, False, "")
    assert (root / "requirements.txt").read_text() == "torch==2.5.0\n"


def test_the_command(project, capsys):
    root = project(requirements__txt="torch==2.5.0\n")
    assert command.main([str(root)], standalone_mode=False) == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("--- a/requirements.txt")
    assert "torch 2.5.0 → 2.10.0" in shown.err
    assert command.main([str(root), "--apply", "-q"], standalone_mode=False) == 0
