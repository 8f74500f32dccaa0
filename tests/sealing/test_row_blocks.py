"""Digests of rows: the same table gives the same ones whatever its bytes, another value another one."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hauberk.sealing.faults import Malformed
from hauberk.sealing.row_blocks import Rows, blocks_of, check, decode, differing, encode
from hauberk.sealing.table_rows import Unreadable, rows_of


def digests(path: Path) -> list[bytes]:
    table = rows_of(path)
    assert table is not None
    return table.digests.tolist()


def frame() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "i": [1, None, 3],
            "f": [0.5, float("nan"), -0.0],
            "s": ["a", None, ""],
            "b": [True, False, None],
            "d": [dt.date(2020, 1, 1), None, dt.date(2021, 1, 1)],
            "l": [[1, 2], None, []],
            "c": pl.Series(["x", "y", None], dtype=pl.Categorical),
        }
    )


def test_a_parquet_file_written_otherwise_has_the_same_rows(tmp_path):
    frame().write_parquet(tmp_path / "a.parquet", compression="zstd")
    frame().write_parquet(tmp_path / "b.parquet", compression="uncompressed", row_group_size=1)
    assert (tmp_path / "a.parquet").read_bytes() != (tmp_path / "b.parquet").read_bytes()
    assert digests(tmp_path / "a.parquet") == digests(tmp_path / "b.parquet")


@pytest.mark.parametrize("column", ["i", "f", "s", "b", "d", "l", "c"])
def test_another_value_in_any_column_is_another_row_and_missing_is_not_zero(tmp_path, column):
    frame().write_parquet(tmp_path / "a.parquet")
    turned = frame().with_columns(frame()[column].reverse())
    turned.write_parquet(tmp_path / "b.parquet")
    one, two = digests(tmp_path / "a.parquet"), digests(tmp_path / "b.parquet")
    assert one[0] != two[0]
    assert one[2] != two[2]


def test_text_cannot_be_moved_from_one_column_to_the_next(tmp_path):
    pl.DataFrame({"a": ["xy"], "b": ["z"]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"a": ["x"], "b": ["yz"]}).write_parquet(tmp_path / "b.parquet")
    assert digests(tmp_path / "a.parquet") != digests(tmp_path / "b.parquet")


def test_csv_records_with_line_ends_in_quotes_and_other_line_ends(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'h1,h2\n1,"x\ny"\n2,z\n\n3,"say ""hi"""')
    (tmp_path / "b.csv").write_bytes(b'h1,h2\r\n1,"x\ny"\r\n2,z\r\n3,"say ""hi"""\r\n')
    one, two = rows_of(tmp_path / "a.csv"), rows_of(tmp_path / "b.csv")
    assert one is not None and two is not None
    assert len(one.digests) == 3
    assert (one.digests == two.digests).all()
    assert one.columns == two.columns
    (tmp_path / "c.csv").write_bytes(b"H1,h2\n")
    header_only = rows_of(tmp_path / "c.csv")
    assert header_only is not None
    assert (len(header_only.digests), header_only.columns == one.columns) == (0, False)


def test_a_csv_longer_than_one_piece_is_the_same_as_its_lines(tmp_path, monkeypatch):
    lines = [f'{i},"a\n{i}"' if i % 3 == 0 else f"{i},b" for i in range(500)]
    (tmp_path / "a.csv").write_text("h\n" + "\n".join(lines) + "\n")
    whole = digests(tmp_path / "a.csv")
    monkeypatch.setattr("hauberk.sealing.table_rows._PIECE", 17)
    assert digests(tmp_path / "a.csv") == whole
    assert len(set(whole)) == 500


def test_npz_rows_are_those_of_the_arrays_of_one_length(tmp_path):
    x, y = np.arange(12.0).reshape(4, 3), np.arange(4)
    np.savez(tmp_path / "a.npz", x=x, y=y)
    np.savez_compressed(tmp_path / "b.npz", x=x, y=y)
    assert digests(tmp_path / "a.npz") == digests(tmp_path / "b.npz")
    changed = x.copy()
    changed[2, 1] = -1
    np.savez(tmp_path / "c.npz", x=changed, y=y)
    assert [one == two for one, two in zip(digests(tmp_path / "a.npz"), digests(tmp_path / "c.npz"), strict=True)] == [
        True,
        True,
        False,
        True,
    ]
    np.savez(tmp_path / "d.npz", x=x, y=np.array([object()] * 4))
    with pytest.raises(Unreadable, match="npz"):
        rows_of(tmp_path / "d.npz")


@pytest.mark.parametrize("name", ["a.parquet", "a.npz"])
def test_broken_tables_say_so(tmp_path, name):
    for junk in (b"", b"PAR1", b"PK\x03\x04" + bytes(50)):
        (tmp_path / name).write_bytes(junk)
        with pytest.raises(Unreadable):
            rows_of(tmp_path / name)
    assert rows_of(tmp_path / "model.bin") is None


def test_blocks_tell_where_and_hold_to_their_root():
    old = np.array([bytes([i + 1]) * 16 for i in range(10)], "S16")
    new = old.copy()
    new[4] = b"x" * 16
    one, two = (blocks_of(Rows("csv", "", digests), 3) for digests in (old, new))
    check(one)
    assert len(one.blocks) == 4
    assert differing(one, two) == [(3, 6)]
    assert differing(one, blocks_of(Rows("csv", "", old[:7]), 3)) == [(6, 10)]
    import msgspec

    for change in ({"rows": 13}, {"root": "0" * 64}, {"block": 0}, {"blocks": one.blocks[:-1]}, {"root": "x"}):
        with pytest.raises(Malformed):
            check(msgspec.structs.replace(one, **change))


def test_kept_digests_count_only_where_the_signed_blocks_bear_them_out():
    digests = np.array([bytes([i + 1]) * 16 for i in range(10)], "S16")
    table = Rows("csv", "", digests)
    raw = encode({"b.csv": table, "a.csv": table})
    sealed = {"a.csv": blocks_of(table), "b.csv": blocks_of(table)}
    assert set(decode(raw, sealed)) == {"a.csv", "b.csv"}
    flipped = bytearray(raw)
    flipped[-1] ^= 1
    assert set(decode(bytes(flipped), sealed)) == {"a.csv"}
    for junk in (b"", raw[:20], raw[:-1], b"HBKROWS1\x00\x00\x00\x02{}", b"HBKROWS1\xff\xff\xff\xff"):
        with pytest.raises(Malformed):
            decode(junk, sealed)
