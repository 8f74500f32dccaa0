"""Files written anew without personal data; and a canary that must come out nowhere."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from hauberk.api.auditing import Manner, audit
from hauberk.api.encrypting import new_key_file
from hauberk.api.masking import mask
from hauberk.api.reporting import rendered
from hauberk.cli.data_command import command
from hauberk.cli.options import FORMATS
from hauberk.core.errors import DataError, UsageError

CARD, EMAIL, SSN, NAME = "4539578763621486", "canary.person@example.org", "536-90-4399", "Dorothy Smith"
CANARIES = (CARD, CARD[:12], "canary.person", SSN, "536904399", "Dorothy")


def table(folder: Path, kind: str) -> Path:
    rows = [{"id": i, "full_name": NAME, "note": f"{EMAIL} paid with {CARD}", "ssn": SSN} for i in range(30)]
    path = folder / f"people.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps({**row, "deep": [{"mail": EMAIL}]}) + "\n" for row in rows))
    elif kind == "txt":
        path.write_text("".join(f"{row['note']}; SSN {row['ssn']}, Mr {NAME}\n" for row in rows))
    elif kind == "parquet":
        pl.DataFrame(rows).with_columns(card=pl.lit(int(CARD))).write_parquet(path)
    else:
        pl.DataFrame(rows).write_csv(path)
    return path


def read(path: Path) -> str:
    return str(pl.read_parquet(path).to_dicts()) if path.suffix == ".parquet" else path.read_text()


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "txt"])
@pytest.mark.parametrize("manner", ["redact", "mask", "pseudonym"])
def test_nothing_that_was_found_is_left_and_the_rest_stays(tmp_path, kind, manner):
    source = table(tmp_path, kind)
    before = source.read_bytes()
    key = f"file:{new_key_file(tmp_path / 'k')}" if manner == "pseudonym" else ""
    done = mask(source, tmp_path / f"out.{kind}", manner=manner, key=key)
    text = read(done.path)
    assert not any(canary in text for canary in CANARIES)
    assert "paid with" in text
    assert text.count("\n") == read(source).count("\n")
    assert source.read_bytes() == before
    assert done.replaced >= 90
    assert {one.kind for one in done.columns} >= {"email", "card", "us_ssn"}
    assert not any(canary in repr(done) for canary in CANARIES)


def test_other_columns_and_types_stay(tmp_path):
    done = mask(table(tmp_path, "parquet"), tmp_path / "out.parquet")
    frame = pl.read_parquet(done.path)
    assert frame["id"].to_list() == list(range(30))
    assert frame["card"].to_list() == ["[CARD]"] * 30
    assert frame.schema["id"] == pl.Int64


def test_a_csv_keeps_its_shape_quotes_and_ragged_rows(tmp_path):
    (tmp_path / "a.csv").write_text('a,b\n1,"x, y"\n2\n3,4,a@example.org\n')
    done = mask(tmp_path / "a.csv", tmp_path / "b.csv")
    assert done.path.read_text() == 'a,b\n1,"x, y"\n2\n3,4,[EMAIL]\n'


def test_pseudonyms_join_two_files_and_keep_their_form_where_asked(tmp_path):
    key = f"file:{new_key_file(tmp_path / 'k')}"
    (tmp_path / "a.csv").write_text(f"card\n{CARD}\n")
    (tmp_path / "b.csv").write_text(f"pay\n4539 5787 6362 1486\n{CARD}\n")
    one = mask(tmp_path / "a.csv", tmp_path / "a2.csv", manner="pseudonym", key=key).path.read_text().split()[1]
    two = mask(tmp_path / "b.csv", tmp_path / "b2.csv", manner="pseudonym", key=key).path.read_text().split()[1:]
    assert {one, *two} == {one}
    kept = mask(tmp_path / "a.csv", tmp_path / "a3.csv", manner="pseudonym", key=key, keep_format=True)
    token = kept.path.read_text().split()[1]
    assert (len(token), token.isdigit(), token != CARD) == (16, True, True)


def test_faults_leave_nothing_behind(tmp_path):
    source = table(tmp_path, "csv")
    with pytest.raises(UsageError, match="needs a key"):
        mask(source, tmp_path / "o", manner="pseudonym")
    with pytest.raises(UsageError, match="of that name"):
        mask(source, source)
    with pytest.raises(UsageError, match="no such file"):
        mask(tmp_path / "gone", tmp_path / "o")
    with pytest.raises(UsageError, match="no manner"):
        mask(source, tmp_path / "o", manner="x")
    for name, junk in (("x.jsonl", b'{"a":'), ("x.parquet", b"PAR1"), ("x.csv", b"a\n\xff\xfe\n")):
        (tmp_path / name).write_bytes(junk)
        with pytest.raises(DataError):
            mask(tmp_path / name, tmp_path / "o")
    assert {path.name for path in tmp_path.iterdir()} == {"people.csv", "x.jsonl", "x.parquet", "x.csv"}


def test_the_command_prints_counts_and_no_value(tmp_path):
    source = table(tmp_path, "csv")
    done = CliRunner().invoke(command, ["mask", str(source), "-o", str(tmp_path / "o.csv")], standalone_mode=False)
    assert "30 rows of note: card" in done.output
    assert not any(canary in done.output for canary in CANARIES)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_canary_comes_out_in_no_report_no_store_and_no_message(tmp_path, kind, capfd):
    source = table(tmp_path, kind)
    report = audit(source.name, folder=tmp_path, manner=Manner(label=""))
    found = [finding for finding in report.findings if finding.rule.startswith("data.personal")]
    assert {finding.rule for finding in found} >= {"data.personal_accounts", "data.personal_contacts"}
    texts = {form: rendered(report, form).decode("utf-8", "replace") for form in FORMATS}
    shown = CliRunner().invoke(command, ["audit", source.name, "--folder", str(tmp_path)], standalone_mode=False)
    texts |= {"command": shown.output, "process": "".join(capfd.readouterr())}
    for form, text in texts.items():
        for canary in CANARIES:
            assert canary not in text, (form, canary)


def test_a_canary_does_not_reach_the_evidence_store(tmp_path):
    from hauberk.api.checking import check

    table(tmp_path, "csv")
    (tmp_path / "hauberk.toml").write_text('[data]\nsource = "people.csv"\nlabel = "id"\n')
    report = check(tmp_path)
    assert any(finding.rule == "data.personal_accounts" for finding in report.findings)
    store = tmp_path / ".hauberk" / "evidence.db"
    raw = store.read_bytes() + "".join(sqlite3.connect(store).iterdump()).encode()
    assert not any(canary.encode() in raw for canary in CANARIES)
