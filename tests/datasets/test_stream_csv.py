"""CSV as it comes: ragged, cut off, in two encodings, packed to burst; every cell as text, every fault by row."""

from __future__ import annotations

import gzip
import zlib

import polars as pl
import pytest

from hauberk.datasets import stream_csv
from hauberk.datasets.streaming import open_stream


def read(folder, name, data: bytes):
    (folder / name).write_bytes(data)
    stream = open_stream(folder, name)
    batches = list(stream.batches())
    frames = [batch.frame for batch in batches]
    return (pl.concat(frames) if frames else pl.DataFrame()), stream


def faults(stream):
    return [(fault.kind, fault.rows.count, fault.rows.first) for fault in stream.faults()]


def test_every_cell_is_text_as_it_stands(tmp_path):
    frame, stream = read(tmp_path, "a.csv", b'a,b\n1,"x, y"\n007,"line\nbreak"\n,NA\n')
    assert frame.to_dict(as_series=False) == {"a": ["1", "007", ""], "b": ["x, y", "line\nbreak", "NA"]}
    assert stream.faults() == ()
    assert {digest.name for digest in stream.digests()} == {"blake3", "sha256"}


def test_ragged_rows_are_told_by_their_number_and_left_out(tmp_path):
    frame, stream = read(tmp_path, "a.csv", b"a,b\n1,2\n3\n4,5,6\n7,8\n")
    assert frame["a"].to_list() == ["1", "7"]
    ((kind, count, first),) = faults(stream)
    assert (kind, count) == ("ragged", 2)
    assert first == (1, 2)


def test_a_second_encoding_in_one_file_is_told_and_read_on(tmp_path):
    frame, stream = read(tmp_path, "a.csv", "name\nJürgen\n".encode() + "Jürgen\n".encode("latin-1") + "Zoë\n".encode())
    assert frame["name"].to_list() == ["Jürgen", "J�rgen", "Zoë"]
    assert [fault.kind for fault in stream.faults()] == ["encoding"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_are_no_fault(tmp_path, encoding):
    frame, stream = read(tmp_path, "a.csv", "größe,b\n1,ü\n".encode(encoding))
    assert frame.to_dict(as_series=False) == {"größe": ["1"], "b": ["ü"]}
    assert stream.faults() == ()


def test_an_invalid_byte_on_the_border_of_two_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(stream_csv, "_BLOCK", 8)
    frame, stream = read(tmp_path, "a.csv", "name\nabcdü\nefü\n".encode() + b"gh\xff\n" + "ijklmnoü\n".encode())
    assert frame["name"].to_list() == ["abcdü", "efü", "gh�", "ijklmnoü"]
    assert [fault.kind for fault in stream.faults()] == ["encoding"]


def test_a_truncated_gzip_gives_what_was_there_and_says_so(tmp_path):
    rows = b"a,b\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(5000))
    frame, stream = read(tmp_path, "a.csv.gz", gzip.compress(rows, mtime=0)[:-2000])
    assert 0 < len(frame) < 5000
    assert "truncated" in {fault.kind for fault in stream.faults()}


def test_members_of_a_gzip_follow_each_other(tmp_path):
    frame, stream = read(tmp_path, "a.csv.gz", gzip.compress(b"a\n1\n", mtime=0) + gzip.compress(b"2\n", mtime=0))
    assert frame["a"].to_list() == ["1", "2"]
    assert stream.faults() == ()


def test_a_bomb_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(
        stream_csv, "DEFAULT_LIMITS", type(stream_csv.DEFAULT_LIMITS)(member_bytes=1 << 20, ratio=100.0)
    )
    machine = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = machine.compress(b"a,b\n" + b"0,0\n" * 2_000_000) + machine.flush()
    frame, stream = read(tmp_path, "a.csv.gz", data)
    assert "limit" in {fault.kind for fault in stream.faults()}
    assert len(frame) < 2_000_000


@pytest.mark.parametrize("data", [b"", b"\n", b"\n\n"])
def test_an_empty_file_says_so(tmp_path, data):
    _, stream = read(tmp_path, "a.csv", data)
    assert [fault.kind for fault in stream.faults()] == ["malformed"]


def test_a_header_alone_has_no_rows(tmp_path):
    frame, stream = read(tmp_path, "a.csv", b"a,b\n")
    assert frame.shape == (0, 2)
    assert stream.faults() == ()


def test_columns_without_a_name_or_with_a_used_one_get_their_own(tmp_path):
    frame, _ = read(tmp_path, "a.tsv", b"a\ta\t\n1\t2\t3\n")
    assert frame.columns == ["a", "a'", "column 3"]


def test_batches_are_bounded_and_numbered(tmp_path, monkeypatch):
    monkeypatch.setattr(stream_csv, "rows_for", lambda columns: 64)
    (tmp_path / "a.csv").write_text("a\n" + "".join(f"{i}\n" for i in range(200)))
    batches = list(open_stream(tmp_path, "a.csv").batches())
    assert [(batch.first, len(batch.frame)) for batch in batches] == [(0, 64), (64, 64), (128, 64), (192, 8)]
    assert batches[3].frame["a"].to_list() == [str(i) for i in range(192, 200)]


def test_lines_that_end_in_a_carriage_return_alone_are_lines(tmp_path):
    frames, stream = read(tmp_path, "a.csv", b"a,b\r1,2\r3,4\r")
    assert frames.rows() == [("1", "2"), ("3", "4")]
    assert not stream.faults()


def test_a_nul_and_a_quote_that_never_closes_end_in_no_exception(tmp_path):
    for data in (b"a,b\n1,\x00\n", b'a,b\n1,"never\n2,3\n', b"a,b\r1,2\r", bytes(range(256)) * 20):
        frames, stream = read(tmp_path, "a.csv", data)
        assert len(frames) or stream.faults(), data[:20]
