"""The cache: what is unchanged is not read again, what changed always is, and a broken cache costs nothing but time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hauberk.core.evidence import Finding, Measurement, Skipped
from hauberk.core.project import ScanSection
from hauberk.scanning import cache
from hauberk.scanning.engine import scan

EVIL = b"cposix\nsystem\n(S'true'\ntR."


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    for index in range(40):
        (folder / f"{index:02}.pkl").write_bytes(EVIL if index == 7 else b"K%c." % index)
    old = 1_700_000_000_000_000_000
    for path in folder.iterdir():
        os.utime(path, ns=(old, old))
    return folder


def run(project: Path, store: Path, section: ScanSection | None = None) -> tuple[list[str], str]:
    entries = list(scan(project, section or ScanSection(), cache=store, jobs=1))
    found = [f"{e.rule} {e.location}" for e in entries if isinstance(e, Finding)]
    return found, next(e.note for e in entries if isinstance(e, Measurement) and e.name == "files_scanned")


def test_the_second_scan_says_the_same_without_reading(project: Path, tmp_path: Path) -> None:
    first, _ = run(project, tmp_path / "cache")
    again, note = run(project, tmp_path / "cache")
    assert first == again != []
    assert "40 of them as they were judged before" in note


def test_a_changed_file_is_read_again_even_with_its_old_times(project: Path, tmp_path: Path) -> None:
    run(project, tmp_path / "cache")
    victim = project / "11.pkl"
    before = victim.stat()
    victim.write_bytes(EVIL[:3] + b".")
    victim.write_bytes(EVIL)
    os.utime(victim, ns=(before.st_atime_ns, before.st_mtime_ns))
    found, _ = run(project, tmp_path / "cache")
    assert any("11.pkl" in one for one in found)


def test_the_same_bytes_under_another_name_are_judged_anew(project: Path, tmp_path: Path) -> None:
    run(project, tmp_path / "cache")
    (project / "07.pkl").rename(project / "aa.pkl")
    found, _ = run(project, tmp_path / "cache")
    assert found
    assert all("aa.pkl" in one for one in found)


def test_other_rules_are_another_question(project: Path, tmp_path: Path) -> None:
    run(project, tmp_path / "cache")
    found, _ = run(project, tmp_path / "cache", ScanSection(rules_off=("model.*",)))
    assert not [one for one in found if one.startswith("model.")]


def test_the_project_holds_no_cache_of_its_own(project: Path, tmp_path: Path) -> None:
    before = sorted(project.rglob("*"))
    run(project, tmp_path / "cache")
    assert sorted(project.rglob("*")) == before


@pytest.mark.parametrize("damage", [b"", b"not a database at all" * 100])
def test_a_broken_cache_is_no_cache(project: Path, tmp_path: Path, damage: bytes) -> None:
    first, _ = run(project, tmp_path / "cache")
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(damage)
    assert run(project, tmp_path / "cache")[0] == first


def test_a_folder_that_cannot_be_written_is_no_cache(project: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    assert run(project, tmp_path / "cache")[0]


def test_what_a_limit_hid_is_tried_again(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "bomb.json").write_text("{" * 200_000)
    entries = list(scan(project, cache=tmp_path / "cache", jobs=1))
    skipped = [e for e in entries if isinstance(e, Skipped) and e.kind in ("limit", "error")]
    again = list(scan(project, cache=tmp_path / "cache", jobs=1))
    assert [e.reason for e in again if isinstance(e, Skipped) and e.kind in ("limit", "error")] == [
        e.reason for e in skipped
    ]


def test_rules_that_changed_forget_everything(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(project, tmp_path / "cache")
    monkeypatch.setattr(cache, "_own_text", lambda: b"another version")
    _, note = run(project, tmp_path / "cache")
    assert "judged before" not in note


def test_a_module_is_judged_anew_when_what_another_says_of_it_changed(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    tainted = "from openai import OpenAI\ndef ask(q):\n    return OpenAI().responses.create(input=q).output_text\n"
    for index in range(40):
        (folder / f"other{index}.txt").write_text("nothing")
    (folder / "asking.py").write_text(tainted)
    (folder / "running.py").write_text("from asking import ask\nexec(ask('q'))\n")
    for path in folder.iterdir():
        os.utime(path, ns=(10**18, 10**18))

    def found(jobs: int) -> tuple[list[str], int]:
        rows = list(scan(folder, cache=tmp_path / "cache", jobs=jobs))
        note = next(row.note for row in rows if isinstance(row, Measurement) and row.name == "files_scanned")
        reused = int(note.partition("; ")[2].split()[0]) if "; " in note else 0
        return [row.rule for row in rows if isinstance(row, Finding)], reused

    first, reused = found(1)
    assert "code.model_output_executed" in first
    assert reused == 0
    assert found(2) == (first, 42)
    (folder / "asking.py").write_text("def ask(q):\n    return 'x = 1'\n")
    again, reused = found(1)
    assert "code.model_output_executed" not in again
    assert reused == 40
