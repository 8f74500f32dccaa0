"""An audit from end to end: by command, by scan, by check; what is broken is said, what is huge is cut."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from PIL import Image

import hauberk
from hauberk.api.auditing import Manner, audit
from hauberk.api.data_drift import drift
from hauberk.api.data_expect import expect
from hauberk.core.errors import DataError, ProjectError, UsageError
from hauberk.core.evidence import Skipped
from hauberk.core.project import parse


def rules(report) -> set[str]:
    return {one.rule for one in report.findings}


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3))
    frame = pl.DataFrame({f"x{i}": x[:, i] for i in range(3)} | {"y": (x[:, 0] > 0).astype(int)})
    frame.write_csv(tmp_path / "a.csv")
    return tmp_path


def command(folder, *arguments, status=0):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "160"}
    done = subprocess.run(
        [sys.executable, "-m", "hauberk", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_digests_root_and_counts_are_evidence(folder):
    report = audit("a.csv", folder=folder, manner=Manner(label="y"))
    counts = {one.name: one for one in report.measurements}
    assert counts["data_rows"].value == 200
    names = {digest.name for digest in counts["data_rows"].provenance.digests}
    assert names == {"a.csv blake3", "a.csv sha256", "a.csv rows"}
    again = audit("a.csv", folder=folder, manner=Manner(label="y"))
    assert [one.provenance.digests for one in again.measurements] == [
        one.provenance.digests for one in report.measurements
    ]


def test_test_rows_among_training_rows(folder):
    pl.read_csv(folder / "a.csv").head(150).write_csv(folder / "train.csv")
    report = audit("a.csv", folder=folder, manner=Manner(label="y", train="train.csv"))
    (found,) = [one for one in report.findings if one.rule == "data.split_leakage"]
    assert "150 of 200" in found.message
    assert found.severity == "high"
    assert report.verdict().exit_status == 1


def test_requirements_of_the_model_are_not_asked_of_the_data(folder):
    (folder / "hauberk.toml").write_text('[[policy.require]]\nmeasurement = "clean_accuracy"\nmin = 0.9\n')
    assert audit("a.csv", folder=folder).verdict().status == "met"


def test_a_sample_is_said(folder):
    report = audit("a.csv", folder=folder, manner=Manner(label="y", sample=100))
    assert "fair sample of 100 of 200 rows" in next(one for one in report.evidence if isinstance(one, Skipped)).reason


def test_more_rows_than_keys_are_estimated_and_said(folder, monkeypatch):
    from hauberk.scanning.tables import distinct, keys

    monkeypatch.setattr(keys, "Seen", lambda: distinct.Seen(most=64))
    frame = pl.read_csv(folder / "a.csv")
    pl.concat([frame, frame]).write_csv(folder / "a.csv")
    report = audit("a.csv", folder=folder, manner=Manner(label="y"))
    (found,) = [one for one in report.findings if one.rule == "data.duplicate_rows"]
    assert found.message.startswith("about ")
    assert any("different labels were not looked for" in one.reason for one in report.skipped)


# --- hostile and odd input


def test_a_hundred_thousand_columns(tmp_path, monkeypatch):
    from hauberk.scanning.tables import engine

    monkeypatch.setattr(engine, "COLUMNS", 100)
    wide = ",".join(f"c{i}" for i in range(100_000))
    (tmp_path / "a.csv").write_text(f"{wide}\n" + "\n".join(",".join(["1"] * 100_000) for _ in range(3)) + "\n")
    report = audit("a.csv", folder=tmp_path)
    assert any(one.kind == "limit" and "100000 columns" in one.reason for one in report.skipped)
    assert report.verdict().exit_status == 3
    assert len(report.findings) <= 100


def test_a_label_that_is_not_there_is_said(folder):
    report = audit("a.csv", folder=folder, manner=Manner(label="gone"))
    assert "data.missing_column" in rules(report)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a,y\n", "data.empty"),
        ("", "data.unreadable"),
        ("a,y\n" + ",1\n" * 60, "data.empty"),
        ("a,y\n" + "NaN,1\n" * 60, "data.empty"),
        ("a,y\n" + "".join(f"{i},1\n" for i in range(60)), "data.class_balance"),
        ("a,y\n" + "".join(f"{i % 7},{i / 7}\n" for i in range(60)), "data.label_not_class"),
        ("a,y\n" + "".join(f"{i % 7},{i % 2 or ''}\n" for i in range(60)), "data.label_not_class"),
    ],
)
def test_odd_tables(tmp_path, text, rule):
    (tmp_path / "a.csv").write_text(text)
    assert rule in rules(audit("a.csv", folder=tmp_path, manner=Manner(label="y")))


def test_labels_that_are_whole_floats_are_classes(tmp_path):
    (tmp_path / "a.csv").write_text("a,y\n" + "".join(f"{i % 9},{i % 2}.0\n" for i in range(100)))
    report = audit("a.csv", folder=tmp_path, manner=Manner(label="y"))
    assert not rules(report) & {"data.label_not_class", "data.class_balance"}


def test_a_corrupt_file_is_a_finding_and_the_exit_status_says_it(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nothing PAR1")
    report = audit("a.parquet", folder=tmp_path)
    assert rules(report) == {"data.unreadable"}
    assert report.verdict().exit_status == 1


def test_images_of_mixed_sizes_and_a_broken_one(tmp_path):
    for i in range(24):
        path = tmp_path / "d" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = (300, 300) if i == 3 else (24 + i % 3, 24)
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (*size, 3), np.uint8)).save(path)
    (tmp_path / "d/a/broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    report = audit("d", folder=tmp_path)
    assert {"data.unreadable", "data.odd_pictures"} <= rules(report)


def test_faults_of_the_caller(folder):
    with pytest.raises(DataError, match="no file"):
        audit("gone.csv", folder=folder)
    with pytest.raises(UsageError, match="no data set is named"):
        audit(folder=folder)
    (folder / "hauberk.toml").write_text('[data]\nsource = "a.csv"\nrelations = ["x0 ~ x1"]\n')
    with pytest.raises(DataError, match="relations"):
        audit(folder=folder)
    (folder / "hauberk.toml").write_text('[data]\nsource = "a.csv"\n[data.columns.y]\npattern = "("\n')
    with pytest.raises(ProjectError, match="pattern"):
        audit(folder=folder)


def test_data_of_a_function_is_a_gap(folder):
    report = audit("module:make", folder=folder)
    assert "function" in report.skipped[0].reason


def test_bundled_data_is_no_function(tmp_path):
    report = audit("bundled:digits", folder=tmp_path)
    assert next(one for one in report.measurements if one.name == "data_rows").value == 1797


# --- expectations from data


def test_what_is_proposed_holds_and_catches_what_comes_later(folder):
    frame = pl.read_csv(folder / "a.csv").with_columns(
        city=pl.Series(["Ulm", "Bern"] * 100), id=pl.int_range(200), flag=pl.Series([0, 1] * 100), note=pl.lit("abc")
    )
    frame.write_csv(folder / "a.csv")
    text = expect("a.csv", folder=folder, label="y")
    project = f'[data]\nsource = "a.csv"\nlabel = "y"\n{text}'
    columns = parse(project).data.columns
    assert columns["city"].categories == ("Bern", "Ulm")
    assert columns["id"].unique
    assert columns["flag"].kind == "boolean"
    assert columns["x0"].missing == 0
    assert columns["x0"].low < frame["x0"].min()
    (folder / "hauberk.toml").write_text(project)
    assert [one.rule for one in audit(folder=folder).findings if one.severity == "high"] == []
    later = frame.with_columns(
        x0=pl.when(pl.col("id") == 7).then(1e6).otherwise("x0"), city=pl.col("city").replace("Ulm", "Wien")
    )
    later.write_csv(folder / "a.csv")
    assert {"data.out_of_range", "data.unexpected_value"} <= rules(audit(folder=folder))


def test_odd_names_are_quoted_and_a_file_is_not_replaced(folder):
    names = ['with "quotes"', "a.b", "ü", "sp ace", "new\nline"]
    pl.DataFrame({name: [1, 2, 3] for name in names}).write_parquet(folder / "b.parquet")
    text = expect("b.parquet", folder=folder)
    assert set(parse(f'[data]\nsource = "b.parquet"\n{text}').data.columns) == set(names)
    expect("b.parquet", folder=folder, output=folder / "out.toml")
    with pytest.raises(UsageError, match="already"):
        expect("b.parquet", folder=folder, output=folder / "out.toml")


# --- drift


def test_drift_names_the_column_that_moved_and_only_that(folder):
    frame = pl.read_csv(folder / "a.csv")
    rng = np.random.default_rng(1)
    x = rng.standard_normal((200, 3))
    now = pl.DataFrame({"x0": x[:, 0], "x1": x[:, 1] + 1, "x2": x[:, 2], "y": (x[:, 0] > 0).astype(int)})
    now.write_csv(folder / "b.csv")
    report = drift("a.csv", "b.csv", folder=str(folder))
    assert {one.location.part for one in report.findings} == {"column x1", ""}
    area = next(one for one in report.measurements if one.name == "data_drift_area")
    assert area.value > 0.6
    frame.write_csv(folder / "c.csv")
    assert drift("a.csv", "c.csv", folder=str(folder)).findings == ()


# --- the command line


def test_the_commands(folder):
    said = json.loads(command(folder, "data", "audit", "a.csv", "--label", "y", "--format", "json", "-q"))
    assert any(one.get("name") == "data_rows" for one in said["evidence"])
    assert "[data.columns.x0]" in command(folder, "data", "expect", "a.csv", "-q")
    assert "wrote b.csv: 200 of 200 rows" in command(
        folder, "data", "repair", "a.csv", "-o", "b.csv", "--label", "y", "--keep-labels"
    )
    command(folder, "data", "undo", "b.csv", "-o", "c.csv")
    assert (folder / "c.csv").read_bytes() == (folder / "a.csv").read_bytes()
    command(folder, "data", "repair", "a.csv", "-o", "a.csv", status=2)
    command(folder, "data", "drift", "a.csv", "b.csv", "-q")


def test_scan_of_a_named_data_set_audits_it(folder):
    text = (folder / "a.csv").read_text()
    (folder / "a.csv").write_text(text + text.splitlines()[5] + "\n")
    report = hauberk.scan(folder / "a.csv")
    assert "data.duplicate_rows" in rules(report)
    assert "data.duplicate_rows" not in rules(hauberk.scan(folder)), "a folder of anything is not a data set"


def test_check_audits_the_projects_data_and_may_be_told_not_to(folder):
    text = (folder / "a.csv").read_text()
    (folder / "a.csv").write_text(text + text.splitlines()[5] + "\n")
    project = '[data]\nsource = "a.csv"\nlabel = "y"\n[policy]\nfail_on = "never"\n'
    (folder / "hauberk.toml").write_text(project)
    report = hauberk.check(folder)
    assert "data.duplicate_rows" in rules(report)
    assert "data" in {timing.name for timing in report.timings}
    (folder / "hauberk.toml").write_text(project.replace("[policy]", "audit = false\n[policy]"))
    assert "data.duplicate_rows" not in rules(hauberk.check(folder))


def test_the_command_that_repeats_an_audit_says_how_it_was_asked(tmp_path):
    (tmp_path / "a b.csv").write_text("x,y\n" + "".join(f"{row},{row % 2}\n" for row in range(40)))
    report = audit("a b.csv", folder=tmp_path, manner=Manner(label="y", sample=0))
    assert report.command == "hauberk data audit 'a b.csv' --label y --sample 0"
