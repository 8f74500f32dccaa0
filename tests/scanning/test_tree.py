"""Which files are looked at: hostile names, loops, special files, and two names that print alike."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from hauberk.scanning.tree import Tree, survey


def look(folder: Path, exclude: tuple[str, ...] = ()) -> Tree:
    return survey(folder, (".",), exclude)


def test_names_with_newlines_bidi_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    for name in (b"a\nb.py", "x\u202eyp.exe".encode(), b"\xff\xfe.pkl", b"\x1b[31m.py"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"x")
    found = look(tmp_path).files
    assert len(found) == 4
    for one in found:
        assert one.path.isprintable()
        assert Path(one.file).read_bytes() == b"x"


def test_two_names_that_print_alike_are_two_files(tmp_path: Path) -> None:
    (tmp_path / "a\u202e.py").write_text("1")
    (tmp_path / "a\u202d.py").write_text("2")
    (tmp_path / look(tmp_path).files[0].path).write_text("3")
    found = look(tmp_path).files
    assert len(found) == len({one.path for one in found}) == len({os.fspath(one.file) for one in found}) == 3


def test_loops_of_links_end(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "here").symlink_to(tmp_path)
    (tmp_path / "a.py").write_text("")
    tree = look(tmp_path)
    assert [one.path for one in tree.files] == ["a.py"]
    assert {one.subject for one in tree.omitted} == {"loop", "here"}


def test_sockets_and_pipes_are_named_and_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as ear:
        ear.bind("socket")
        os.mkfifo("pipe.pkl")
        tree = look(tmp_path)
    assert not tree.files
    assert all("never opened" in one.reason for one in tree.omitted)


def test_a_link_to_a_file_inside_is_a_file_and_outside_is_not(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "a.py").write_text("")
    (tmp_path / "project-secrets").mkdir()
    (tmp_path / "project-secrets" / "b.py").write_text("")
    (project / "inside.py").symlink_to("a.py")
    (project / "outside.py").symlink_to("../project-secrets/b.py")
    tree = look(project)
    assert [one.path for one in tree.files] == ["a.py", "inside.py"]
    assert "out of the project" in tree.omitted[0].reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder; run as another user")
def test_a_folder_nobody_may_list_is_said(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o000)
    assert look(tmp_path).omitted[0].kind == "error"


def test_exclusions_match_paths_parents_and_names(tmp_path: Path) -> None:
    for name in ("data/raw/a.csv", "data/b.csv", "src/data.py", "x.tmp"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert [one.path for one in look(tmp_path, ("data/raw", "*.tmp")).files] == ["data/b.csv", "src/data.py"]
    assert [one.path for one in look(tmp_path, ("./data/",)).files] == ["src/data.py", "x.tmp"]


def test_the_order_is_that_of_the_paths_whatever_the_disk_says(tmp_path: Path) -> None:
    for name in ("b/1", "a/2", "a.py", "a/1", "B"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    paths = [one.path for one in look(tmp_path).files]
    assert paths == sorted(paths)
