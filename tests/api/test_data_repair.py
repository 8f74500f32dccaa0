"""Repair writes a new file and a reason for every row; undo gives back every byte; a fault leaves nothing behind."""

from __future__ import annotations

import errno
import gzip
import json
import os
import random

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_digits

from hauberk.api.data_repair import ENDING, repair, undo
from hauberk.core.errors import DataError, UsageError
from hauberk.core.tables import Wishes

CSV = b'''\xef\xbb\xbfid,age,city,y\r
1,30,"Bern, CH",a\r
2,31,"say ""hi""",b\r
3,30,"Bern, CH",a\r
4,999,Ulm,a\r
5,40,Ulm\r
\r
6,x,Ulm,b\r
7,50,"two
lines",a\r
8,50,"two
lines",b\r
9,,Ulm,\r
10,61,Gr\xfcn,a'''
TOML = """
[data]
source = "a.csv"
label = "y"
[data.columns.age]
kind = "integer"
low = 0
high = 120
[data.columns.id]
unique = true
"""


def changes(path):
    heading, *rows = [json.loads(line) for line in path.read_text().splitlines()]
    return heading, rows


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "hauberk.toml").write_text(TOML)
    return tmp_path


def test_every_dropped_row_has_its_reason_and_comes_back(folder):
    out = folder / "clean.csv"
    done = repair("a.csv", out, folder=folder)
    _, rows = changes(done.changes)
    reasons = {row["row"]: (row["action"], row["reason"]) for row in rows if row["row"] is not None}
    assert reasons[2] == ("deduplicated", "it repeats row 0")
    assert reasons[3] == ("dropped", "age breaks: [0, 120]")
    assert reasons[4] == ("dropped", "age holds a word where a number should be")
    assert reasons[5] == ("dropped", "it equals row 6 but for the label")
    assert reasons[6] == ("dropped", "it equals row 5 but for the label")
    assert reasons[7] == ("dropped", "it has no label")
    assert set(reasons) == {2, 3, 4, 5, 6, 7}
    assert [row["reason"] for row in rows if row["row"] is None] == ["it has more or fewer cells than the header"]
    assert (
        out.read_bytes()
        == b'''\xef\xbb\xbfid,age,city,y\r
1,30,"Bern, CH",a\r
2,31,"say ""hi""",b\r
\r
10,61,Gr\xfcn,a'''
    )
    assert (folder / "a.csv").read_bytes() == CSV
    assert undo(out, folder / "again.csv") == 9
    assert (folder / "again.csv").read_bytes() == CSV


def test_cells_are_imputed_and_come_back(folder):
    wishes = Wishes(impute=True, conflicts=False, duplicates=False)
    done = repair("a.csv", folder / "clean.csv", folder=folder, wishes=wishes)
    _, rows = changes(done.changes)
    filled = {row["row"]: row["cells"] for row in rows if row["action"] == "imputed"}
    assert filled == {4: {"age": "50"}}
    assert b"6,50,Ulm,b\r\n" in (folder / "clean.csv").read_bytes()
    undo(folder / "clean.csv", folder / "again.csv")
    assert (folder / "again.csv").read_bytes() == CSV


def test_packed_files_and_json_lines(tmp_path):
    rows = [{"x": i % 7, "y": "p" if i % 7 < 4 else "q", "note": "ü"} for i in range(40)]
    text = "\n\n".join(json.dumps(row) for row in rows) + "\n{broken\n"
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    done = repair("a.jsonl.gz", tmp_path / "b.jsonl.gz", folder=tmp_path, wishes=Wishes(label="y"))
    assert done.rows == 7
    heading, changed = changes(done.changes)
    assert heading["kept"] == 7
    assert [one["reason"] for one in changed if one["row"] == 40] == ["it is no JSON object"]
    undo(tmp_path / "b.jsonl.gz", tmp_path / "c.jsonl")
    assert (tmp_path / "c.jsonl").read_text() == text


def test_parquet_comes_back_row_by_row_with_its_types(tmp_path):
    import datetime as dt

    frame = pl.DataFrame(
        {
            "a": [1, 2, 1, None, 5],
            "t": [dt.datetime(2020, 1, 1, 3), None, dt.datetime(2020, 1, 1, 3), dt.datetime(2021, 1, 1), None],
            "s": ["x", "y", "x", "z", "w"],
            "y": [0, 1, 0, 1, None],
        }
    )
    frame.write_parquet(tmp_path / "a.parquet")
    wishes = Wishes(label="y", impute=True)
    done = repair("a.parquet", tmp_path / "b.parquet", folder=tmp_path, wishes=wishes)
    assert (done.before, done.rows) == (5, 3)
    made = pl.read_parquet(tmp_path / "b.parquet")
    assert made["a"].to_list() == [1, 2, 2]
    assert made.schema == frame.schema
    undo(tmp_path / "b.parquet", tmp_path / "c.parquet")
    assert pl.read_parquet(tmp_path / "c.parquet").equals(frame)
    assert pq.read_schema(tmp_path / "c.parquet").equals(pq.read_schema(tmp_path / "a.parquet"))


@pytest.mark.parametrize("labels", ["drop", "relabel"])
def test_flipped_labels_are_mended_or_dropped(tmp_path, labels):
    x, y = load_digits(n_class=3, return_X_y=True)
    names = np.array(["zero", "one", "two"])
    wrong = np.flatnonzero(y == 0)[[3, 17, 29, 41]].tolist()
    flipped = y.copy()
    flipped[wrong] = 2
    frame = pl.DataFrame({f"x{i}": x[:, i] for i in range(64)} | {"kind": names[flipped]})
    frame.write_csv(tmp_path / "a.csv")
    wishes = Wishes(label="kind", labels=labels, duplicates=False)
    done = repair("a.csv", tmp_path / "b.csv", folder=tmp_path, wishes=wishes)
    _, rows = changes(done.changes)
    found = sorted({row["row"] for row in rows} & set(wrong))
    assert len(found) >= 3
    assert len(rows) <= 6
    if labels == "relabel":
        made = pl.read_csv(tmp_path / "b.csv")
        assert made["kind"][found].to_list() == ["zero"] * len(found)
        assert done.rows == len(y)
    undo(tmp_path / "b.csv", tmp_path / "c.csv")
    assert (tmp_path / "c.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()


def random_csv(rng):
    """Make a CSV with quotes, blanks, ragged and repeated rows."""
    pieces = ["1", "2.5", "", "a", '"x, y"', '"q""q"', '"l\nb"', "é", "NA"]
    end = rng.choice(["\n", "\r\n"])
    rows = [
        ",".join(rng.choice(pieces) for _ in range(rng.choice([3, 3, 3, 3, 2, 4]))) for _ in range(rng.randrange(40))
    ]
    rows = [row if rng.random() > 0.05 else "" for row in rows]
    return "a,b,c" + end + end.join(rows) + rng.choice(["", end])


@pytest.mark.parametrize("seed", range(40))
def test_undo_gives_back_every_byte_of_any_csv(tmp_path, seed):
    rng = random.Random(seed)
    text = random_csv(rng).encode()
    (tmp_path / "a.csv").write_bytes(text)
    wishes = Wishes(
        label=rng.choice(["", "c"]), impute=rng.random() < 0.5, labels=rng.choice(["drop", "relabel", "keep"])
    )
    done = repair("a.csv", tmp_path / "b.csv", folder=tmp_path, wishes=wishes)
    undo(tmp_path / "b.csv", tmp_path / "c.csv")
    assert (tmp_path / "c.csv").read_bytes() == text
    again = repair("b.csv", tmp_path / "d.csv", folder=tmp_path, wishes=Wishes(label=wishes.label, labels="keep"))
    if not wishes.impute and wishes.labels == "keep":
        assert again.rows == done.rows, "what was repaired needs no repair"


# --- what goes wrong


def left(folder):
    return sorted(path.name for path in folder.iterdir() if path.name not in ("a.csv", "hauberk.toml"))


def test_never_in_place_and_never_over_a_file(folder):
    with pytest.raises(UsageError, match="the source itself"):
        repair("a.csv", folder / "a.csv", folder=folder)
    (folder / "there.csv").write_text("mine")
    with pytest.raises(UsageError, match="already"):
        repair("a.csv", folder / "there.csv", folder=folder)
    assert (folder / "there.csv").read_text() == "mine"
    (folder / "link.csv").symlink_to(folder / "a.csv")
    with pytest.raises(UsageError):
        repair("a.csv", folder / "link.csv", folder=folder)
    assert (folder / "a.csv").read_bytes() == CSV


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("fault", "at"), [(FULL, "fsync"), (KeyboardInterrupt(), "fsync"), (KeyboardInterrupt(), "link")]
)
def test_a_full_disk_or_an_interruption_leaves_nothing(folder, monkeypatch, fault, at):
    calls = []

    def failing(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise fault
        return real(*arguments, **options)

    real = getattr(os, at)
    monkeypatch.setattr(os, at, failing)
    with pytest.raises((UsageError, KeyboardInterrupt)):
        repair("a.csv", folder / "b.csv", folder=folder)
    monkeypatch.undo()
    assert left(folder) == []


def test_a_dry_run_writes_nothing(folder):
    done = repair("a.csv", folder / "b.csv", folder=folder, dry_run=True)
    assert done.before - done.rows == 6
    assert left(folder) == []


def test_undo_refuses_what_does_not_belong_together(folder):
    repair("a.csv", folder / "b.csv", folder=folder)
    lines = (folder / f"b.csv{ENDING}").read_text().splitlines()
    (folder / "b.csv").write_bytes((folder / "b.csv").read_bytes() + b"11,1,x,a\n")
    with pytest.raises(DataError, match="was changed since"):
        undo(folder / "b.csv", folder / "c.csv")
    assert not (folder / "c.csv").exists()
    for text in ("", "{}", "\n".join(lines[:3]) + "\n{cut", lines[0].replace("data changes 1", "data changes 9")):
        (folder / "bad.jsonl").write_text(text)
        with pytest.raises(DataError):
            undo(folder / "b.csv", folder / "c.csv", changes=str(folder / "bad.jsonl"))
    assert not (folder / "c.csv").exists()


def test_a_change_list_that_lacks_a_line_is_seen(folder):
    repair("a.csv", folder / "b.csv", folder=folder)
    path = folder / f"b.csv{ENDING}"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:1] + lines[2:]) + "\n")
    with pytest.raises(DataError, match="does not give back"):
        undo(folder / "b.csv", folder / "c.csv")
    assert not (folder / "c.csv").exists()


def test_what_has_no_rows_of_text_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 2)), y=np.zeros(4))
    with pytest.raises(DataError, match="cannot be repaired"):
        repair("a.npz", tmp_path / "b.npz", folder=tmp_path)
    assert left(tmp_path) == ["a.npz"]
