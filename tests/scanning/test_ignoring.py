"""A comment with a reason takes a finding out of the verdict and leaves it in the report."""

from __future__ import annotations

import json
from pathlib import Path

from hauberk.api.scanning import scan
from hauberk.core.project import ScanSection
from hauberk.core.report import Report
from hauberk.scanning.engine import scan as entries

LOAD = "import pickle\npickle.load(open('a', 'rb'))"


def scanned(folder: Path, name: str, text: str) -> Report:
    (folder / name).write_text(text)
    return scan(folder)


def test_a_reason_counts_and_stays_visible(tmp_path: Path) -> None:
    report = scanned(tmp_path, "a.py", f"{LOAD}  # hauberk: ignore[code.unsafe_load] our own file, written below\n")
    assert report.verdict().exit_status == 0
    found = [one for one in report.findings if one.rule == "code.unsafe_load"]
    assert found[0].ignored == "our own file, written below"


def test_no_reason_does_not_count(tmp_path: Path) -> None:
    report = scanned(tmp_path, "a.py", f"{LOAD}  # hauberk: ignore[code.unsafe_load]\n")
    assert report.verdict().exit_status == 1
    assert [one.rule for one in report.findings if one.rule.startswith("scan.")] == ["scan.ignore_without_reason"]


def test_another_rule_is_not_covered_and_the_comment_is_named(tmp_path: Path) -> None:
    report = scanned(tmp_path, "a.py", f"{LOAD}  # hauberk: ignore[code.remote_code] a good reason\n")
    assert report.verdict().exit_status == 1
    assert "scan.unused_ignore" in {one.rule for one in report.findings}


def test_what_others_wrote_may_be_denied_a_say(tmp_path: Path) -> None:
    scanned(tmp_path, "a.py", f"{LOAD}  # hauberk: ignore[code.unsafe_load] trust me\n")
    found = list(entries(tmp_path, ScanSection(ignores=False)))
    assert not [one for one in found if getattr(one, "ignored", "")]


def test_a_notebook_cell_has_its_own_lines(tmp_path: Path) -> None:
    source = [f"{LOAD}  # hauberk: ignore[unsafe_load] the course's own data\n"]
    cell = {"cell_type": "code", "source": source, "outputs": [], "metadata": {}, "execution_count": None}
    book = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    report = scanned(tmp_path, "n.ipynb", json.dumps(book))
    assert [one.ignored for one in report.findings if one.rule == "code.unsafe_load"] == ["the course's own data"]


def test_a_string_that_looks_like_a_comment_is_none(tmp_path: Path) -> None:
    text = "import pickle\npickle.load(open('# hauberk: ignore[code.unsafe_load] not a comment', 'rb'))\n"
    assert scanned(tmp_path, "a.py", text).verdict().exit_status == 1
