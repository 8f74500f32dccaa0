"""The index of cards: right after every change of a file, useless to nobody who cannot write, never in the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hauberk.core.card_index import indexed
from hauberk.core.plugins import FAMILIES, catalog


@pytest.fixture
def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A catalogue of one file, and a reader that counts how often it is asked."""
    monkeypatch.setenv("HAUBERK_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "a.py").write_text("one")
    asked: list[int] = []

    def ask() -> tuple[str, ...]:
        def read() -> tuple[str, ...]:
            asked.append(1)
            return tuple(path.read_text() for path in sorted(folder.rglob("*.py")))

        return indexed("rules", folder, str, read)

    return folder, asked, ask


def test_the_second_start_reads_no_file(reads) -> None:
    _, asked, ask = reads
    assert ask() == ask() == ("one",)
    assert len(asked) == 1


def test_a_changed_a_new_and_a_lost_file_are_seen(reads) -> None:
    folder, asked, ask = reads
    ask()
    state = (folder / "a.py").stat()
    (folder / "a.py").write_text("two")
    os.utime(folder / "a.py", ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert ask() == ("two",)
    (folder / "deep").mkdir()
    (folder / "deep" / "b.py").write_text("three")
    assert ask() == ("two", "three")
    (folder / "a.py").unlink()
    assert ask() == ("three",)
    assert len(asked) == 4


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"\x93\xa1x\x90\x90", b"\xc1" * 100])
def test_a_broken_index_is_made_anew(reads, tmp_path: Path, content: bytes) -> None:
    _, asked, ask = reads
    ask()
    file = tmp_path / "cache" / "catalogues" / "rules.msgpack"
    good = file.read_bytes()
    file.write_bytes(content)
    assert ask() == ("one",)
    assert file.read_bytes() == good
    assert len(asked) == 2


def test_without_a_place_every_start_reads(reads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, asked, ask = reads
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HAUBERK_CACHE", str(tmp_path / "file" / "inside"))
    assert ask() == ask() == ("one",)
    assert len(asked) == 2


@pytest.mark.parametrize("family", FAMILIES)
def test_catalogues_survive_the_way_through_the_index(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAUBERK_CACHE", str(tmp_path))
    fresh = catalog.__wrapped__(family)
    assert fresh == catalog.__wrapped__(family) == catalog(family)
