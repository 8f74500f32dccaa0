"""With [models] alone, images in arrays can be read; tables say which extra they need."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("polars", "pyarrow", "PIL", "blake3"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
from pathlib import Path
from hauberk.core.errors import MissingExtra
from hauberk.core.project import DataSection
from hauberk.datasets.opening import open_dataset
try:
    print(open_dataset(DataSection(source=sys.argv[2]), Path(sys.argv[1])).spec.shape)
except MissingExtra as error:
    print(error)
"""


def opened(folder, name: str) -> str:
    run = [sys.executable, "-c", BLOCKED, str(folder), name]
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout


def test_images_need_no_extra_and_rows_name_theirs(tmp_path):
    y = np.arange(40) % 2
    np.savez(tmp_path / "images.npz", x=np.random.default_rng(0).random((40, 1, 4, 4), dtype=np.float32), y=y)
    np.savez(tmp_path / "rows.npz", x=np.random.default_rng(0).random((40, 4), dtype=np.float32), y=y)
    (tmp_path / "rows.csv").write_text("a,label\n1,0\n")
    assert opened(tmp_path, "images.npz").strip() == "(1, 4, 4)"
    for name in ("rows.npz", "rows.csv"):
        assert "hauberk[data]" in opened(tmp_path, name)
    assert opened(tmp_path, "bundled:digits").strip() == "(1, 8, 8)"
