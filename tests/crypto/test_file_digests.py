"""Digests of one open file: the same as hashlib's and blake3's, whatever its size and however many threads."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from blake3 import blake3

from hauberk.crypto.file_digests import BUFFER, SMALL, Changed, digest_file, digest_range


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, BUFFER, BUFFER + 1, 2 * BUFFER, 3 * BUFFER + 7])
@pytest.mark.parametrize("several", [False, True])
def test_digests(tmp_path: Path, size: int, several: bool) -> None:
    data = os.urandom(size)
    (tmp_path / "f").write_bytes(data)
    with ThreadPoolExecutor(1) as pool:
        found = digest_file(tmp_path / "f", ("sha256", "blake3", "blake2b"), pool=pool if several else None)
    assert found.values == {
        "sha256": hashlib.sha256(data).hexdigest(),
        "blake3": blake3(data).hexdigest(),
        "blake2b": hashlib.blake2b(data).hexdigest(),
    }
    assert found.still.size == size


def test_a_range(tmp_path: Path) -> None:
    data = os.urandom(3 * SMALL)
    (tmp_path / "f").write_bytes(data)
    expected = hashlib.sha256(data[5 : 2 * SMALL]).hexdigest()
    assert digest_range(tmp_path / "f", 5, 2 * SMALL, "sha256") == expected
    with pytest.raises(Changed):
        digest_range(tmp_path / "f", 0, 3 * SMALL + 1, "sha256")


def test_links_pipes_and_folders_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    (tmp_path / "l").symlink_to("f")
    os.mkfifo(tmp_path / "p")
    with pytest.raises(OSError):  # noqa: PT011 - ELOOP by the system
        digest_file(tmp_path / "l", ("sha256",))
    assert digest_file(tmp_path / "l", ("sha256",), follow=True).still.size == 1
    for name in ("p", "."):
        with pytest.raises(Changed):
            digest_file(tmp_path / name, ("sha256",))


def test_it_stops_in_the_middle(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * (3 * BUFFER))
    stop = Event()
    stop.set()
    with ThreadPoolExecutor(1) as pool, pytest.raises(Changed, match="middle"):
        digest_file(tmp_path / "f", ("sha256", "blake3"), pool=pool, stop=stop)
