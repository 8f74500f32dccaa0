"""Baselines: yesterday's findings do not count, a second one of the same kind in the same file does."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from hauberk.api.baselines import read_baseline, write_baseline
from hauberk.api.scanning import Manner, scan
from hauberk.core.errors import UsageError

LOAD = "import pickle\npickle.load(open('a', 'rb'))\n"


def test_only_what_is_new_counts(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(LOAD)
    before = scan(tmp_path)
    assert before.verdict().exit_status == 1
    known = tmp_path.parent / "known.json"
    assert write_baseline(known, before.findings, dt.date(2026, 11, 25)) == len(before.findings)
    manner = Manner(baseline=str(known))
    after = scan(tmp_path, manner=manner)
    assert after.verdict().exit_status == 0
    assert after.findings[0].ignored == "in the baseline of 2026-11-25"
    (tmp_path / "a.py").write_text("\n\n" + LOAD)
    assert scan(tmp_path, manner=manner).verdict().exit_status == 0
    (tmp_path / "a.py").write_text(LOAD + "pickle.load(open('a', 'rb'))\n")
    again = scan(tmp_path, manner=manner)
    assert again.verdict().exit_status == 1
    assert sum(not one.ignored for one in again.findings) == 1


def test_a_baseline_written_again_keeps_what_it_knew(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(LOAD)
    known = tmp_path.parent / "known.json"
    write_baseline(known, scan(tmp_path).findings, dt.date(2026, 1, 1))
    first = known.read_text()
    write_baseline(known, scan(tmp_path, manner=Manner(baseline=str(known))).findings, dt.date(2026, 1, 1))
    assert known.read_text() == first


@pytest.mark.parametrize("text", ["", "[]", '{"version": 9, "made": "2026-01-01", "findings": []}', '{"x": 1}'])
def test_what_is_no_baseline_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "known.json"
    path.write_text(text)
    with pytest.raises(UsageError):
        read_baseline(path)
