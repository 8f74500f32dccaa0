"""Digests: known answers, and what changes a folder's digest and what does not."""

from __future__ import annotations

import os

import pytest

from hauberk.crypto import digests

ABC = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""FIPS 180-2, appendix B.1."""


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "model"
    (root / "nested").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"abc")
    (root / "nested" / "b.bin").write_bytes(b"\x00" * 3_000_000)
    return root


def test_known_answer(folder):
    assert digests.of_bytes(b"abc") == digests.of_file(folder / "a.txt") == ABC
    assert digests.of_file(folder / "nested" / "b.bin") == digests.of_bytes(b"\x00" * 3_000_000)


def test_times_modes_and_order_do_not_count(folder, tmp_path):
    before = digests.of_folder(folder)
    os.utime(folder / "a.txt", (0, 0))
    (folder / "a.txt").chmod(0o600)
    other = tmp_path / "copy"
    (other / "nested").mkdir(parents=True)
    (other / "nested" / "b.bin").write_bytes(b"\x00" * 3_000_000)
    (other / "a.txt").write_bytes(b"abc")
    assert digests.of_folder(folder) == digests.of_folder(other) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "a.txt").write_bytes(b"abd"),
        lambda root: (root / "a.txt").rename(root / "c.txt"),
        lambda root: (root / "a.txt").rename(root / "nested" / "a.txt"),
        lambda root: (root / "a.txt").unlink(),
        lambda root: (root / "empty").mkdir(),
        lambda root: (root / "link").symlink_to("a.txt"),
        lambda root: os.mkfifo(root / "pipe"),
        lambda root: (root / "new\nline").write_bytes(b""),
    ],
)
def test_what_changes_a_folder(folder, change):
    before = digests.of_folder(folder)
    change(folder)
    assert digests.of_folder(folder) != before


def test_a_link_is_its_text_and_is_not_followed(folder):
    (folder / "loop").symlink_to(".")
    before = digests.of_folder(folder)
    (folder / "loop").unlink()
    (folder / "loop").symlink_to("nested")
    assert digests.of_folder(folder) != before


def test_a_file_and_a_link_of_the_same_bytes_differ(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "x").write_bytes(b"target")
    (tmp_path / "two" / "x").symlink_to("target")
    assert digests.of_folder(tmp_path / "one") != digests.of_folder(tmp_path / "two")


def test_what_is_left_out_does_not_count(folder):
    before = digests.of_folder(folder)
    (folder / ".hauberk" / "keys").mkdir(parents=True)
    (folder / ".hauberk" / "keys" / "k").write_bytes(b"secret")
    assert digests.of_folder(folder, leave_out=lambda name: name == ".hauberk") == before != digests.of_folder(folder)


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        digests.of_folder(tmp_path / "nowhere")
