"""A sealed data folder: verify names the rows that changed, diff says what became of files and rows."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from hauberk.api.seal_differences import diff
from hauberk.api.sealing import new_key, seal
from hauberk.api.verifying import Trust, verify
from hauberk.cli.seal_command import command
from hauberk.core.errors import UsageError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.csv").write_text("a,b\n" + "".join(f"{i},{i * i}\n" for i in range(100)))
    pl.DataFrame({"x": list(range(10)), "s": list("abcdefghij")}).write_parquet(folder / "test.parquet")
    (folder / "readme.txt").write_text("x")
    new_key(tmp_path / "k.pem")
    seal(folder, key=tmp_path / "k.pem")
    return folder


def faults(folder: Path) -> dict[str, str]:
    found = verify(folder, Trust(keys=(folder.parent / "k.pem.pub",)))
    return {fault.path: f"{fault.kind}: {fault.message}" for fault in found.faults}


def changed_csv(folder: Path) -> None:
    lines = (folder / "train.csv").read_text().splitlines(keepends=True)
    lines[18] = "17,0\n"
    del lines[51]
    (folder / "train.csv").write_text("".join([*lines, "new,1\n", "new,2\n"]))


def test_a_seal_over_data_holds_and_lies_beside_its_rows(data):
    assert (data / "model.rows").exists()
    assert faults(data) == {}


def test_verify_names_the_rows(data):
    changed_csv(data)
    frame = pl.read_parquet(data / "test.parquet")
    frame[3, "s"] = "Z"
    frame.write_parquet(data / "test.parquet")
    found = faults(data)
    assert found["train.csv"].endswith(": changed row 17; added rows 99-100; removed row 50")
    assert found["test.parquet"].endswith(": changed row 3")


def test_without_the_rows_beside_it_blocks_tell_where(data):
    changed_csv(data)
    (data / "model.rows").unlink()
    assert faults(data)["train.csv"].endswith("somewhere in rows 0-100")


def test_a_file_written_otherwise_with_the_same_rows_is_still_another_file(data):
    pl.read_parquet(data / "test.parquet").write_parquet(data / "test.parquet", compression="gzip")
    assert faults(data)["test.parquet"].endswith("not what was sealed: the same rows")


def test_rows_beside_a_seal_that_someone_changed_are_not_believed(data):
    raw = bytearray((data / "model.rows").read_bytes())
    raw[-1600 - 5] ^= 1
    raw[-5] ^= 1
    (data / "model.rows").write_bytes(raw)
    changed_csv(data)
    assert "somewhere in" in faults(data)["train.csv"]


def test_diff_says_what_became_of_files_and_rows(data, tmp_path):
    new = tmp_path / "new"
    shutil.copytree(data, new, ignore=shutil.ignore_patterns("model.*"))
    changed_csv(new)
    (new / "readme.txt").rename(new / "README.md")
    (new / "more.csv").write_text("a\n1\n")
    seal(new, key=tmp_path / "k.pem")
    found = diff(data, new)
    assert (found.added, found.removed, found.renamed) == (("more.csv",), (), (("readme.txt", "README.md"),))
    assert found.changed == ("train.csv",)
    (table,) = found.tables
    assert (table.added, table.removed, table.changed, table.exact) == ((99, 100), (50,), ((17, 17),), True)
    assert found.fresh == {"train.csv": (17, 99, 100)}
    shown = CliRunner().invoke(command, ["--diff", str(data), str(new)], standalone_mode=False)
    assert "changed: train.csv: changed row 17; added rows 99-100; removed row 50" in shown.output
    again = CliRunner().invoke(command, ["--diff", str(data), str(data)], standalone_mode=False)
    assert again.output == "nothing changed\n"
    as_json = CliRunner().invoke(command, ["--diff", str(data), str(new), "--format", "json"], standalone_mode=False)
    assert '"added":[99,100]' in as_json.output


def test_diff_of_what_is_no_seal_says_so(data, tmp_path):
    (tmp_path / "x.sig").write_text("{}")
    with pytest.raises(UsageError, match="is no seal"):
        diff(data, tmp_path / "x.sig")


def test_a_broken_table_is_sealed_as_a_file_and_a_note_says_so(tmp_path):
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "a.parquet").write_bytes(b"PAR1 broken")
    done = seal(folder, rows=True)
    assert "the rows of a.parquet are not digested" in done.notes[0]
    assert not (folder / "model.rows").exists()


def test_a_file_of_the_owners_is_never_taken_for_the_list_of_rows(tmp_path):
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "model.rows").write_text("mine")
    (folder / "a.csv").write_text("a\n1\n")
    with pytest.raises(UsageError, match="no list of rows"):
        seal(folder)
    seal(folder, rows=False)
    assert (folder / "model.rows").read_text() == "mine"
    assert verify(folder, Trust(unsigned=True)).status == "met"


def test_an_older_seals_rows_go_with_it(tmp_path):
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "a.csv").write_text("a\n1\n")
    seal(folder)
    assert (folder / "model.rows").exists()
    seal(folder, rows=False)
    assert not (folder / "model.rows").exists()
    assert verify(folder, Trust(unsigned=True)).status == "met"


def test_a_second_signers_rows_are_no_extra_file(data, tmp_path):
    new_key(tmp_path / "two.pem")
    seal(data, key=tmp_path / "two.pem", output=data / "model.two.sig")
    assert (data / "model.two.rows").exists()
    trusted = Trust(keys=(tmp_path / "k.pem.pub", tmp_path / "two.pem.pub"), signatures=2)
    assert verify(data, trusted).faults == ()
    changed_csv(data)
    found = verify(data, trusted).faults
    assert [fault.path for fault in found] == ["train.csv"]
    assert "row 17" in found[0].message


def test_no_rows_where_nobody_asks_for_them(tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    seal(tmp_path / "a.csv", rows=False)
    assert not (tmp_path / "a.csv.rows").exists()
    seal(tmp_path / "a.csv")
    assert (tmp_path / "a.csv.rows").exists()
