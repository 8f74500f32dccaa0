"""The engine: order, skips, links, special files, limits, and formats or rules that fail."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from hauberk.core.errors import LimitExceeded
from hauberk.core.evidence import Finding, Measurement, Skipped
from hauberk.core.limits import Limits
from hauberk.core.project import ScanSection
from hauberk.core.provenance import Stamp
from hauberk.scanning.artifact import Artifact, Draft, Place
from hauberk.scanning.engine import scan
from hauberk.scanning.kit import Tools, tools
from hauberk.scanning.reading import scan_file
from hauberk.scanning.tree import Listed


def skipped(root: Path, section: ScanSection | None = None) -> dict[str, Skipped]:
    return {item.subject: item for item in scan(root, section or ScanSection()) if isinstance(item, Skipped)}


def test_pipes_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.pkl")
    assert "never opened" in skipped(tmp_path)["model.pkl"].reason


def test_links_out_of_the_project_are_named_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.pkl").write_bytes(b"N.")
    project = tmp_path / "project"
    project.mkdir()
    (project / "model.pkl").symlink_to(outside / "secret.pkl")
    (project / "folder").symlink_to(outside)
    seen = skipped(project)
    assert "link out of the project" in seen["model.pkl"].reason
    assert "folder" in seen


def test_counts_every_file_and_names_unknown_kinds(tmp_path: Path) -> None:
    for name in ("a.xyz", "b.xyz"):
        (tmp_path / name).write_bytes(b"\x00\xffno format knows this")
    rows = {item.name: item for item in scan(tmp_path) if isinstance(item, Measurement)}
    assert rows["files_scanned"].value == 2
    assert rows["files_of_unknown_kind"].value == 2


def test_excluded_paths_are_counted_not_forgotten(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.pkl").write_bytes(b"N.")
    assert "data" in skipped(tmp_path, ScanSection(exclude=("data",)))


def test_include_that_names_nothing_is_an_error(tmp_path: Path) -> None:
    assert skipped(tmp_path, ScanSection(include=("nowhere",)))["nowhere"].kind == "error"


class _Card:
    severity = "high"
    threats = ()


class _Reader:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def sniff(self, blob: object) -> bool:
        return True

    def parse(self, blob: object, limits: object, descend: object) -> Artifact:
        raise self.error


class _Judge:
    card = _Card()

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def check(self, artifact: Artifact):
        if self.error:
            raise self.error
        yield Draft(message="seen", fix="none", place=Place(line=3))


def _pickle(folder: Path) -> Listed:
    (folder / "m.pkl").write_bytes(b"N.")
    return Listed(folder / "m.pkl", "m.pkl")


@pytest.mark.parametrize(
    "error", [ValueError("odd"), RecursionError(), MemoryError(), LimitExceeded("too much"), KeyError(1)]
)
def test_a_reader_that_fails_is_named_and_the_others_go_on(tmp_path: Path, error: Exception) -> None:
    kit = tools()
    broken = Tools((("broken", _Reader(error)), *kit.formats), (("seen", _Judge()),))
    result = scan_file(_pickle(tmp_path), broken)
    assert [type(entry).__name__ for entry in result.entries] == ["Skipped", "Finding"]
    assert "broken" in result.entries[0].reason
    assert "pickle_stream" in result.formats


def test_a_rule_that_fails_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    kit = Tools(tools().formats, (("broken", _Judge(ValueError("odd"))), ("seen", _Judge())))
    entries = scan_file(_pickle(tmp_path), kit).entries
    assert {type(entry).__name__ for entry in entries} == {"Skipped", "Finding"}


def test_findings_carry_the_digest_of_their_file(tmp_path: Path) -> None:
    kit = Tools(tools().formats, (("seen", _Judge()),))
    finding = scan_file(_pickle(tmp_path), kit).entries[0]
    assert isinstance(finding, Finding)
    assert finding.provenance.digests[-1].value == "sha256:" + hashlib.sha256(b"N.").hexdigest()
    assert finding.location.line == 3


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    entries = scan_file(Listed(tmp_path / "gone.pkl", "gone.pkl"), tools()).entries
    assert [(entry.subject, entry.kind) for entry in entries if isinstance(entry, Skipped)] == [("gone.pkl", "error")]


def test_a_pipe_that_takes_a_files_place_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    entries = scan_file(Listed(tmp_path / "pipe", "pipe"), tools()).entries
    assert "not a regular file" in entries[0].reason


def test_rules_off_by_pattern(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(b"cos\nsystem\n(S'id'\ntR.")
    loud = [item.rule for item in scan(tmp_path) if isinstance(item, Finding)]
    quiet = [item for item in scan(tmp_path, ScanSection(rules_off=("model.*",))) if isinstance(item, Finding)]
    assert "model.pickle_call" in loud
    assert quiet == []


def test_same_project_same_entries_in_path_order(tmp_path: Path) -> None:
    for name in ("b.pkl", "a.pkl", "c/d.pkl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"cos\nsystem\n(S'id'\ntR.")
    stamp = Stamp(clock=lambda: dt.datetime(2024, 1, 1, tzinfo=dt.UTC))
    first, second = list(scan(tmp_path, stamp=stamp)), list(scan(tmp_path, stamp=stamp))
    assert first == second
    assert [item.location.path for item in first if isinstance(item, Finding)] == ["a.pkl", "b.pkl", "c/d.pkl"]


def test_a_single_file_can_be_the_root(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(b"cos\nsystem\n(S'id'\ntR.")
    (tmp_path / "other.pkl").write_bytes(b"cos\nsystem\n(S'id'\ntR.")
    assert {item.location.path for item in scan(tmp_path / "m.pkl") if isinstance(item, Finding)} == {"m.pkl"}


def test_files_above_the_limit_are_named(tmp_path: Path) -> None:
    (tmp_path / "big.pkl").write_bytes(b"N" * 100)
    kinds = [item.kind for item in scan(tmp_path, limits=Limits(file_bytes=10)) if isinstance(item, Skipped)]
    assert kinds == ["limit"]


def test_only_the_pickle_of_a_large_torch_zip_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "big.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02cos\nsystem\n(S'id'\ntR.")
        archive.writestr("archive/data/0", bytes(64 << 20))
    tracemalloc.start()
    found = [item for item in scan(tmp_path) if isinstance(item, Finding)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [item.location.part for item in found] == ["archive/data.pkl"]
    assert peak < 16 << 20


def test_scanning_imports_no_framework() -> None:
    code = (
        "import sys; from hauberk.scanning.kit import tools; tools();"
        "print([m for m in ('torch', 'numpy', 'sklearn', 'onnx', 'joblib', 'pandas') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
