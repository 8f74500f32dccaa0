"""The exact output of each format on fixed evidence; HAUBERK_UPDATE_GOLDEN=1 writes it anew, to be read in the diff."""

import os
import re
from pathlib import Path

import pytest

from hauberk.assurance import charts, difference_pages
from hauberk.assurance.difference import compare
from hauberk.assurance.engine import output, render

FOLDER = Path(__file__).parents[1] / "golden" / "outputs"
EVERY = ("terminal", "json", "html", "sarif", "junit", "markdown")
SHORT = ("terminal", "sarif", "junit", "markdown")


def held(name, data):
    """Compare with the file of that name, or write it."""
    path = FOLDER / name
    if os.environ.get("HAUBERK_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert path.is_file(), f"{path.name} is not there: run once with HAUBERK_UPDATE_GOLDEN=1 and read what it wrote"
    assert data.decode() == path.read_text(encoding="utf-8"), "read the change; HAUBERK_UPDATE_GOLDEN=1 accepts it"


def without_style(page):
    """Leave the style sheet out: how it looks is looked at, not compared."""
    return re.sub(rb"<style>.*?</style>", b"<style></style>", page, flags=re.DOTALL)


@pytest.fixture(autouse=True)
def _tables(monkeypatch):
    """Charts as tables, so that a golden page does not depend on the drawing library's version."""
    monkeypatch.setattr(charts, "draw", lambda series: None)


@pytest.mark.parametrize("name", EVERY)
def test_full(full, name):
    held(f"full{output(name).card.suffixes[0]}", without_style(render(full, name)))


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.parametrize("which", ["empty", "interrupted", "not_met"])
def test_others(named_reports, which, name):
    held(f"{which}{output(name).card.suffixes[0]}", render(named_reports[which], name))


@pytest.mark.parametrize(("form", "suffix"), [("terminal", ".txt"), ("markdown", ".md"), ("html", ".html")])
def test_difference(full, hardened, form, suffix):
    found = compare(full, hardened)
    held(f"difference{suffix}", without_style(difference_pages.render(found, form)))
