"""Functions of the project that give data."""

import sys

import pytest

from hauberk.core.errors import DataError, ProjectError
from hauberk.core.project import DataSection
from hauberk.datasets.opening import open_dataset

CODE = """
import numpy as np
rng = np.random.default_rng(0)
x, y = rng.random((20, 3)), np.arange(20) % 2
def pair(): return x, y
def parts(): return {"train": (x[:12], y[:12]), "test": (x[12:], y[12:])}
def named(): return {"x_train": x[:12], "y_train": y[:12], "x_test": x[12:], "y_test": y[12:]}
def alone(): return x
def odd(): return {"a": x}
def fails(): raise RuntimeError("no disk")
def needs(path): return x, y
"""


def opened(folder, name):
    (folder / "loader.py").write_text(CODE)
    return open_dataset(DataSection(source=f"loader:{name}"), folder)


def test_a_pair_is_split_and_parts_stay(tmp_path):
    assert opened(tmp_path, "pair").spec.train == 14
    for name in ("parts", "named"):
        assert (opened(tmp_path, name).spec.train, opened(tmp_path, name).spec.test) == (12, 8)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("alone", DataError, r"gave a ndarray[\s\S]*return \(x, y\)"),
        ("odd", DataError, "gave a mapping of a"),
        ("fails", ProjectError, "raised RuntimeError: no disk"),
        ("needs", DataError, "gave a function"),
        ("pare", ProjectError, 'no "pare"[\\s\\S]*"pair"'),
    ],
)
def test_what_is_refused(tmp_path, name, kind, message):
    with pytest.raises(kind, match=message):
        opened(tmp_path, name)


def test_the_import_path_is_left_as_found(tmp_path):
    before = list(sys.path)
    opened(tmp_path, "pair")
    assert sys.path == before


def test_two_projects_with_a_module_of_one_name_do_not_mix(tmp_path):
    for name, top in (("a", 1), ("b", 5)):
        (tmp_path / name).mkdir()
        text = f"import numpy as np\ndef load(): return np.eye(4) * {top}, np.arange(4) % 2\n"
        (tmp_path / name / "shared_name.py").write_text(text)
    section = DataSection(source="shared_name:load")
    tops = [open_dataset(section, tmp_path / name).spec.bounds[1] for name in ("a", "b", "a")]
    assert tops == [1.0, 5.0, 1.0]
