"""The face of this folder is light, and every plug-in's ways to be chosen are its own."""

import subprocess
import sys

import pytest

from hauberk.core.errors import UnknownName
from hauberk.core.plugins import catalog, load
from hauberk.core.project import ModelSection
from hauberk.targets.opening import open_target

LIGHT = """
import sys, hauberk.targets
assert "torch" not in sys.modules and "sklearn" not in sys.modules
assert {"from_torch", "from_sklearn", "from_callable"} <= set(dir(hauberk.targets))
try:
    hauberk.targets.from_nothing
except AttributeError:
    print("light")
"""


def test_importing_the_folder_imports_no_framework():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "light", done.stderr


@pytest.mark.parametrize("family", ["targets", "datasets"])
def test_no_two_plug_ins_claim_the_same_source(family):
    claims = [claim for entry in catalog(family) for claim in (*entry.card.suffixes, *entry.card.prefixes)]
    assert len(claims) == len(set(claims))
    wraps = [kind for entry in catalog(family) for kind in entry.card.wraps]
    assert len(wraps) == len(set(wraps))


@pytest.mark.parametrize("family", ["targets", "datasets"])
def test_every_plug_in_opens(family):
    for entry in catalog(family):
        assert callable(load(family, entry.name).open)


def test_an_unknown_kind_names_the_nearest(tmp_path):
    with pytest.raises(UnknownName, match='"pytorch"'):
        open_target(ModelSection(source="m:build", kind="torch"), tmp_path)
