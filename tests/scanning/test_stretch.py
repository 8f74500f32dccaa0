"""Bytes that stay where they lie: parts of parts, temporary files, budgets."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from hauberk.core.errors import LimitExceeded
from hauberk.core.limits import DEFAULT_LIMITS
from hauberk.scanning import stretch
from hauberk.scanning.blobs import MemberBlob
from hauberk.scanning.stretch import Sink, Stretch, first, opened, spent


def of(data: bytes) -> Stretch:
    return Stretch(lambda: io.BytesIO(data), 0, len(data))


def test_a_part_has_offsets_of_its_own() -> None:
    part = Stretch(of(b"0123456789").open, 2, 6)
    inner = Stretch(part.open, 1, 3)
    with inner.open() as stream:
        assert stream.read() == b"345"
        stream.seek(1)
        assert stream.read(9) == b"45"
        assert stream.seek(0, 2) == 3
        assert stream.read() == b""
    assert (first(part, 2), len(part), spent(part)) == (b"23", 6, 0)


def test_a_part_beyond_the_end_is_short() -> None:
    with Stretch(of(b"abc").open, 2, 50).open() as stream:
        assert stream.read() == b"c"


def test_few_bytes_stay_in_memory_and_many_do_not() -> None:
    small, large = Sink(), Sink()
    small.write(b"abc")
    assert small.content() == b"abc"
    piece = bytes(range(256)) * 4096
    for _ in range(9):
        large.write(piece)
    content = large.content()
    assert isinstance(content, Stretch)
    assert spent(content) == len(content) == 9 << 20
    with content.open() as one, content.open() as two:
        one.seek(5 << 20)
        assert two.read(4) == piece[:4]
        assert one.read(4) == piece[:4]


def test_no_room_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stretch.os, "write", full)
    sink = Sink()
    with pytest.raises(LimitExceeded, match="no room"):
        sink.write(bytes(stretch.IN_MEMORY + 1))


def test_a_blob_reads_a_stretch_as_it_reads_bytes() -> None:
    data = bytes(range(256)) * 100
    for content in (data, of(data)):
        blob = MemberBlob("a.zip", "m", content, DEFAULT_LIMITS)
        assert (blob.size, blob.head, blob.read()) == (len(data), data[:4096], data)
        with blob.open() as stream:
            stream.seek(-3, 2)
            assert stream.read() == data[-3:]
        with opened(content) as stream:
            assert stream.read() == data


def test_stored_weights_are_never_copied(tmp_path: Path) -> None:
    from hauberk.scanning.engine import scan

    folder = tmp_path / "project"
    folder.mkdir()
    with zipfile.ZipFile(folder / "m.zip", "w") as archive, archive.open("w.bin", "w") as member:
        for _ in range(64):
            member.write(bytes(range(256)) * 4096)
    list(scan(folder, jobs=1))
    tracemalloc.start()
    list(scan(folder, jobs=1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20
