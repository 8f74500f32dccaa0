"""The pages that compare with other libraries: what they name is there, and they name everything."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import pytest

from hauberk.core import plugins

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "compare").glob("*.md"))
NAMED = re.compile(r"`((?:evasion|availability|poisoning|privacy|extraction)\.\w+)(?:\(([^`]*)\))?`")
THEIRS = {
    "art": ("art.attacks.evasion", "art.attacks.poisoning", "art.attacks.extraction"),
    "foolbox": ("foolbox.attacks",),
    "torchattacks": ("torchattacks",),
    "adv-lib": ("adv_lib.attacks", "adv_lib.attacks.segmentation"),
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_plugin_and_setting_named_exists(page):
    named = NAMED.findall(page.read_text(encoding="utf-8"))
    assert named
    for name, settings in named:
        rows = re.sub(r",\s*(?=\w+=)", "\n", settings)
        plugins.build("attacks", name, tomllib.loads(rows))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_is_in_the_navigation(page):
    assert f"compare/{page.name}" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("library", THEIRS)
def test_every_attack_of_theirs_is_named(library):
    text = (ROOT / "docs" / "compare" / f"{library}.md").read_text(encoding="utf-8")
    words = set(re.findall(r"\w+", text))
    for path in THEIRS[library]:
        module = pytest.importorskip(path, exc_type=ImportError)
        found = {
            name
            for name, thing in vars(module).items()
            if not name.startswith("_") and (inspect.isclass(thing) or inspect.isfunction(thing))
        }
        assert found - words == set()


def test_every_attack_of_cleverhans_is_named():
    folder = Path(pytest.importorskip("cleverhans", exc_type=ImportError).__file__).parent
    text = (ROOT / "docs" / "compare" / "cleverhans.md").read_text(encoding="utf-8")
    for framework in ("torch", "tf2", "jax"):
        for path in (folder / framework / "attacks").glob("[a-z]*.py"):
            assert f"`{framework}.attacks.{path.stem}`" in text


def test_the_check_can_fail():
    name, settings = NAMED.findall('as `evasion.pgd(stepz=3, loss="ce")` does')[0]
    assert (name, settings) == ("evasion.pgd", 'stepz=3, loss="ce"')
    with pytest.raises(Exception, match="stepz"):
        plugins.build("attacks", name, {"stepz": 3})
