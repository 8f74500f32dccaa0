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


# --- code that settings bring along

ACTS = "import os\nos.system('id')\nclass Net: pass\n"
COMPUTES = "import torch\nclass Net(torch.nn.Module):\n    def forward(self, x):\n        return x.relu()\n"


@pytest.mark.parametrize(
    ("code", "expected"), [(ACTS, {"high", "medium"}), (COMPUTES, {"medium"}), ("class (", {"medium"})]
)
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("config.json", '{"auto_map": {"AutoModel": "net.Net"}}'),
        ("config.json", '{"custom_pipelines": {"p": {"impl": "net.Net"}}}'),
        ("modules.json", '[{"idx": 0, "name": "0", "path": "", "type": "net.Net"}]'),
        ("model_index.json", '{"_class_name": ["net", "Net"]}'),
    ],
)
def test_brought_code_is_judged_by_what_it_does(
    scan_folder, tmp_path: Path, name: str, settings: str, code: str, expected: set[str]
) -> None:
    (tmp_path / name).write_text(settings)
    (tmp_path / "net.py").write_text(code)
    assert scan_folder(tmp_path).severities("model.brought_code") == expected


def test_settings_that_bring_code_depend_on_their_neighbours() -> None:
    fact = Reference(kind="remote-code", value="AutoModel: net.Net")
    artifact = Artifact(path="config.json", part="", format="json_settings", size=1, references=(fact,))
    assert depends_on_neighbours(artifact)
