"""Digests made beside the reading: equal to the libraries' own, and never of a file that changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from blake3 import blake3

from hauberk.core.limits import DEFAULT_LIMITS
from hauberk.scanning.blobs import FileBlob
from hauberk.scanning.hashing import Hashing, sha256_of


@pytest.mark.parametrize("size", [0, 1, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, 5_000_001])
def test_both_digests(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    path = tmp_path / "a.bin"
    path.write_bytes(data)
    blob = FileBlob(path, "a.bin", DEFAULT_LIMITS)
    sha = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert Hashing(blob).values() == (f"blake3:{blake3(data).hexdigest()}", sha)
    assert sha256_of(blob) == sha


def test_a_file_that_grew_has_no_digest(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    blob = FileBlob(path, "a.bin", DEFAULT_LIMITS)
    path.write_bytes(b"abcd")
    with pytest.raises(OSError, match="4 bytes"):
        Hashing(blob).values()


def test_a_file_that_is_gone_has_no_digest(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    blob = FileBlob(path, "a.bin", DEFAULT_LIMITS)
    path.unlink()
    with pytest.raises(OSError, match="No such file"):
        Hashing(blob).values()
