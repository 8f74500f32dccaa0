"""Ranges as OSV reads them, records joined by alias, severities, and the packed list."""

from __future__ import annotations

import datetime as dt
import gzip
import time

import msgspec
import pytest
from packaging.version import Version

from hauberk.core.errors import DataError
from hauberk.core.provenance import Stamp
from hauberk.scanning.advisory import Advisory, Range, ranges_of
from hauberk.scanning.advisory_age import advisories_age
from hauberk.scanning.advisory_file import NAME, Source, read, write
from hauberk.scanning.artifact import Requirement
from hauberk.scanning.known_vulnerable import cache_folder, never_fixed, safe_release, snapshot
from hauberk.scanning.osv import Record, advisories, merged
from hauberk.scanning.severity_scores import base_score, of_text, of_vector, of_word

SOURCE = Source(name="test", attribution="nobody", licence="CC-BY-4.0", checked_on=dt.date(2030, 1, 1))


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def record(events, versions=(), **more):
    affected = {
        "package": {"name": "Some_Name", "ecosystem": "PyPI"},
        "ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}, {"type": "ECOSYSTEM", "events": events}],
        "versions": list(versions),
    }
    return msgspec.convert({"id": "PYSEC-1", "details": "x", "affected": [affected], **more}, Record)


def one(events, versions=(), **more):
    ((name, row),) = advisories(record(events, versions, **more))
    assert name == "some-name"
    return row


@pytest.mark.parametrize(
    ("events", "version", "hit"),
    [
        ([{"introduced": "0"}, {"fixed": "2.0"}], "1.9", True),
        ([{"introduced": "0"}, {"fixed": "2.0"}], "2.0", False),
        ([{"introduced": "0"}, {"fixed": "2.0"}], "2.0rc1", True),
        ([{"introduced": "0"}, {"fixed": "2.0"}], "2.0.post1", False),
        ([{"introduced": "0"}, {"fixed": "2.0"}], "1!1.0", False),
        ([{"introduced": "1!1.0"}, {"fixed": "1!2.0"}], "1!1.5", True),
        ([{"introduced": "1!1.0"}, {"fixed": "1!2.0"}], "9.0", False),
        ([{"introduced": "1.0"}, {"last_affected": "1.4"}], "1.4", True),
        ([{"introduced": "1.0"}, {"last_affected": "1.4"}], "1.4.1", False),
        ([{"introduced": "1.0"}, {"last_affected": "1.4"}], "1.4+local", True),
        ([{"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "2.0"}, {"fixed": "2.3"}], "1.5", False),
        ([{"fixed": "2.3"}, {"introduced": "2.0"}, {"fixed": "1.2"}, {"introduced": "0"}], "2.1", True),
        ([{"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "1.2"}, {"fixed": "1.3"}], "1.2", True),
        ([{"introduced": "3.0"}], "99", True),
        ([{"introduced": "3.0"}, {"fixed": "not a version"}], "4", True),
    ],
)
def test_ranges(events, version, hit):
    assert one(events).affects(Version(version)) is hit


def test_listed_versions_outside_the_ranges_count_too():
    row = one([{"introduced": "0"}, {"fixed": "1.0"}], ("0.9", "3.0"))
    assert row.affects(Version("3.0"))
    assert not row.affects(Version("2.9"))
    assert len(row.ranges) == 2


def test_withdrawn_and_foreign_records_say_nothing():
    events = [{"introduced": "0"}]
    assert list(advisories(record(events, withdrawn="2024-01-01T00:00:00Z"))) == []
    foreign = record(events)
    foreign.affected[0].package.ecosystem = "npm"
    assert list(advisories(foreign)) == []


def test_records_of_one_weakness_are_joined_by_alias_even_through_a_third():
    rows = [
        Advisory("PYSEC-1", ("CVE-1",), (Range("", "1"),), "medium", "a", "high", False),
        Advisory("GHSA-1", ("CVE-2",), (Range("", "2"),), "high", "b"),
        Advisory("OSV-1", ("CVE-1", "CVE-2"), (Range("", "3"),), "low", "c", "high", False),
        Advisory("PYSEC-9", (), (Range("", "9"),), "low", "d"),
    ]
    first, second = merged(rows)
    assert (first.id, first.ranges, first.severity) == ("GHSA-1", (Range("", "2"),), "high")
    assert first.aliases == ("CVE-1", "CVE-2", "OSV-1", "PYSEC-1")
    assert second.id == "PYSEC-9"


@pytest.mark.parametrize(
    ("vector", "score", "severity"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8, "critical"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0, "critical"),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 7.5, "high"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1, "medium"),
        ("CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", 1.8, "low"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0, "info"),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N", None, None),
        ("CVSS:3.1/AV:X/nonsense", None, None),
        ("", None, None),
    ],
)
def test_cvss_scores_of_the_specification(vector, score, severity):
    assert base_score(vector) == score
    assert of_vector(vector) == severity


def test_severity_by_word_and_by_text():
    assert (of_word("MODERATE"), of_word("?")) == ("medium", None)
    assert of_text("allows remote code execution") == "high"
    assert of_text("a null pointer dereference") == "medium"
    assert one([{"introduced": "0"}], database_specific={"severity": "LOW"}).severity == "low"
    assert one([{"introduced": "0"}], id="MAL-2026-1").severity == "critical"


def test_a_packed_list_reads_back_and_is_the_same_twice(tmp_path):
    rows = [("b", Advisory("B-1", (), (Range("", "1"),), "low", "t")), ("a", Advisory("A-1", (), (), "low", "t"))]
    data = write(SOURCE, rows)
    assert data == write(SOURCE, rows[::-1])
    path = tmp_path / NAME
    path.write_bytes(data)
    found = read(path)
    assert found.packages == {"a", "b"}
    assert found.of("b") == (rows[0][1],)
    assert found.of("c") == ()


@pytest.mark.parametrize("at", [0, 1, 9, 10, 40, -9, -1])
def test_a_cut_list_is_a_clear_fault_and_the_shipped_one_serves(at):
    folder = cache_folder()
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(write(SOURCE, [("a", Advisory("A-1", (), (), "low", "t"))])[:at])
    with pytest.raises(DataError):
        read(folder / NAME)
    known = snapshot()
    assert "cannot be used" in known.fault
    assert known.of("torch")


def test_a_list_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("hauberk.scanning.advisory_file.UNPACKED", 1000)
    path = tmp_path / NAME
    path.write_bytes(gzip.compress(b" " * 100_000))
    with pytest.raises(DataError):
        read(path)


def test_a_newer_list_replaces_the_shipped_one_and_the_curated_rows_stay():
    folder = cache_folder()
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(write(SOURCE, [("zzz", Advisory("Z-1", (), (Range(),), "high", "t"))]))
    known = snapshot()
    assert known.checked_on == dt.date(2030, 1, 1)
    assert known.affecting("zzz", Version("1"))
    assert "CVE-2025-32434" in {row.id for row in known.of("torch")}
    assert known.digest != ""


def test_curated_and_published_rows_of_one_weakness_are_one():
    ids = [name for row in snapshot().of("torch") for name in row.names]
    assert ids.count("CVE-2022-45907") == 1


@pytest.mark.parametrize(
    ("specifier", "affected", "hit"),
    [
        ("<2", "<2.0", True),
        ("<=2", "<2.0", False),
        ("~=1.4", "<2.0", True),
        ("==1.*", "<2.0", True),
        ("!=1.0", "<2.0", False),
        ("<2", ">=1.0,<2.0", False),
        ("", "<2.0", False),
        ("not a specifier", "<2.0", False),
        (">=1!1,<1!2", "<1!2", True),
    ],
)
def test_ranges_that_no_fixed_release_satisfies(specifier, affected, hit):
    row = Advisory("X", (), ranges_of(affected), "high", "t")
    assert never_fixed(Requirement(name="x", specifier=specifier, version=None), row) is hit


def test_the_first_release_free_of_everything_known():
    known = snapshot()
    free = Version(safe_release("torch", Version("1.13.0"), known))
    assert not known.affecting("torch", free)
    assert safe_release("torchtriton", Version("2.0"), known) == ""


def test_the_age_is_measured_by_the_runs_clock():
    now = lambda: dt.datetime.combine(snapshot().checked_on, dt.time(), dt.UTC) + dt.timedelta(days=12)  # noqa: E731
    row = advisories_age(Stamp(clock=now))
    assert (row.name, row.value, row.unit, row.role) == ("advisories_age", 12.0, "days", "diagnostic")


def test_loading_and_a_projects_look_ups_take_milliseconds():
    snapshot()
    started = time.perf_counter()
    known = snapshot()
    for package in ("torch", "numpy", "tensorflow", "requests") * 100:
        known.of(package)
    assert time.perf_counter() - started < 0.5
