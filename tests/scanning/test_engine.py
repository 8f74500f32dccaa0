"""The engine: order, skips, links, special files, limits, and formats or rules that fail."""

from __future__ import annotations

import os
from pathlib import Path

from hauberk.core.evidence import Measurement, Skipped
from hauberk.core.project import ScanSection
from hauberk.scanning.engine import scan


def skipped(root: Path, section: ScanSection = ScanSection()) -> dict[str, Skipped]:
    return {item.subject: item for item in scan(root, section) if isinstance(item, Skipped)}


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
