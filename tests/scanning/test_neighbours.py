"""External data on the disk: symbolic links, linked parents, hard links, and lengths beyond the end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hauberk.scanning.artifact import Artifact, Reference
from hauberk.scanning.kit import tools
from hauberk.scanning.neighbours import depends_on_neighbours, with_neighbours

RULE = dict(tools().rules)["model.external_data"]


def model(location: str, end: int = 0) -> Artifact:
    data, span = (
        Reference(kind="external-data", value=location),
        Reference(kind="external-span", value=f"{end} {location}"),
    )
    return Artifact(path="m.onnx", part="", format="onnx_graph", size=1, references=(data, span))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "model"
    (inside / "weights").mkdir(parents=True)
    (inside / "weights" / "data.bin").write_bytes(bytes(64))
    (tmp_path / "secret").write_bytes(b"key")
    return inside


def found(folder: Path, location: str, end: int = 0) -> list[str]:
    artifact = with_neighbours(model(location, end), folder / "m.onnx")
    return [draft.message for draft in RULE.check(artifact)]


def test_a_plain_file_is_quiet(folder: Path) -> None:
    assert found(folder, "weights/data.bin", 64) == []
    assert found(folder, "missing.bin", 64) == []
    assert depends_on_neighbours(model("a"))


def test_cve_2026_34446_symbolic_link(folder: Path) -> None:
    (folder / "data.bin").symlink_to("../secret")
    assert "symbolic link" in found(folder, "data.bin")[0]


def test_cve_2026_27489_linked_parent(folder: Path) -> None:
    (folder / "linked").symlink_to(folder.parent)
    assert "symbolic link" in found(folder, "linked/secret")[0]


def test_cve_2026_34447_hard_link(folder: Path) -> None:
    os.link(folder.parent / "secret", folder / "data.bin")
    assert "2 names" in found(folder, "data.bin")[0]


def test_beyond_the_end(folder: Path) -> None:
    assert "up to 65" in found(folder, "weights/data.bin", 65)[0]


def test_a_folder_and_a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert "no regular file" in found(folder, "pipe")[0]
    assert "no regular file" in found(folder, "weights")[0]


@pytest.mark.parametrize("location", ["a\x00b", "x" * 5000, "../secret", "/etc/passwd"])
def test_odd_names_are_left_to_the_rule(folder: Path, location: str) -> None:
    artifact = with_neighbours(model(location), folder / "m.onnx")
    assert all(fact.kind != "external-link" for fact in artifact.references)
