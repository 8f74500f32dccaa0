"""Reports are written whole or not at all, and read back equal or not at all."""

import errno
import json
import os

import msgspec
import pytest

from hauberk.assurance import engine
from hauberk.core import plugins
from hauberk.core.errors import UnknownName, UsageError

NAMES = ("terminal", "json", "html", "sarif", "junit", "markdown", "cyclonedx", "cyclonedx17")


def test_every_output_on_disk_is_known():
    assert {entry.name for entry in plugins.catalog("outputs")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_output_renders_every_report_the_same_twice(any_report, name):
    first = engine.render(any_report, name)
    assert first
    assert engine.render(any_report, name) == first


def test_json_reads_back_equal(any_report):
    assert engine.report_from_json(engine.render(any_report, "json")) == any_report


def test_write_names_files_by_suffix(tmp_path, full):
    written = engine.write(
        full, ("html", "json", "sarif", "junit", "markdown", "terminal"), tmp_path / "new" / "folder"
    )
    assert [path.name for path in written] == [
        "report.html",
        "report.json",
        "report.sarif",
        "report.junit.xml",
        "report.md",
        "report.txt",
    ]
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == sorted(p.name for p in written)


def test_an_unknown_output_is_named_before_anything_is_written(tmp_path, full):
    with pytest.raises(UnknownName, match="htm"):
        engine.write(full, ("json", "htm"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file(tmp_path, full):
    (tmp_path / "taken").write_text("x")
    with pytest.raises(UsageError, match="cannot be written") as caught:
        engine.write(full, ("json",), tmp_path / "taken")
    assert "--output" in caught.value.fix
    assert (tmp_path / "taken").read_text() == "x"


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_disk_that_refuses_leaves_the_old_report(tmp_path, full, monkeypatch, code):
    engine.write(full, ("json",), tmp_path)
    old = (tmp_path / "report.json").read_bytes()

    def refuse(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(UsageError, match=os.strerror(code)):
        engine.write(msgspec.structs.replace(full, seed=8), ("json",), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert (tmp_path / "report.json").read_bytes() == old


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw | {"more": 1},
        lambda raw: raw | {"seed": "7"},
        lambda raw: raw | {"machine": raw["machine"] | {"host": "x"}},
        lambda raw: raw | {"schema_version": 2},
        lambda raw: {key: value for key, value in raw.items() if key != "policy"},
        lambda raw: raw | {"evidence": [{"type": "unheard_of"}]},
        lambda raw: [],
    ],
)
def test_anything_else_is_refused(full, spoil):
    raw = json.loads(engine.render(full, "json"))
    with pytest.raises(UsageError):
        engine.report_from_json(json.dumps(spoil(raw)).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"null"])
def test_broken_json_is_refused(data):
    with pytest.raises(UsageError):
        engine.report_from_json(data)
