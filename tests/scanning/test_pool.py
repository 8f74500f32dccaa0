"""Worker processes: same answers in the same order, and a reader that dies costs its own file only."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from hauberk.core.evidence import Skipped
from hauberk.core.limits import Limits
from hauberk.scanning import pool
from hauberk.scanning.pool import scan_all
from hauberk.scanning.reading import Order
from hauberk.scanning.tree import Listed, survey

EVIL = b"cposix\nsystem\n(S'true'\ntR."


def files(folder: Path, count: int) -> tuple[Listed, ...]:
    for index in range(count):
        (folder / f"{index:03}.pkl").write_bytes(EVIL if index % 3 == 0 else b"N.")
    return survey(folder, (".",), ()).files


def test_workers_answer_as_one_process_does_and_in_order(tmp_path: Path) -> None:
    listed = files(tmp_path, 30)
    order = Order()
    alone = [order.reader()(one) for one in listed]
    shared = list(scan_all(listed, order, 3))
    assert [[str(getattr(e, "message", "")) for e in one.entries] for one in shared] == [
        [str(getattr(e, "message", "")) for e in one.entries] for one in alone
    ]
    assert [one.formats for one in shared] == [one.formats for one in alone]


def test_a_reader_that_is_killed_costs_its_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = files(tmp_path, 12)
    started: list[int] = []
    begin = pool._Process.scan

    def scan(self: pool._Process, one: Listed) -> object:
        if one.path == "005.pkl":
            started.append(self._child.pid)
            os.kill(self._child.pid, signal.SIGKILL)
        return begin(self, one)

    monkeypatch.setattr(pool._Process, "scan", scan)
    results = list(scan_all(listed, Order(), 2))
    assert len(started) == 1
    assert [isinstance(one.entries[0], Skipped) if one.entries else False for one in results].index(True) == 5
    assert results[5].entries[0].reason.startswith("its reader was killed")  # type: ignore[union-attr]
    assert results[6].entries


def test_a_reader_that_never_answers_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = files(tmp_path, 2)
    monkeypatch.setattr(pool, "_GRACE", 0.2)
    begin = pool._Process.scan

    def scan(self: pool._Process, one: Listed) -> object:
        if one.path == "000.pkl":
            os.kill(self._child.pid, signal.SIGSTOP)
        return begin(self, one)

    monkeypatch.setattr(pool._Process, "scan", scan)
    results = list(scan_all(listed, Order(limits=Limits(seconds=2.0)), 1))
    assert isinstance(results[0].entries[0], Skipped)
    assert "pickle_stream" in results[1].formats


def test_closing_early_ends_every_process(tmp_path: Path) -> None:
    listed = files(tmp_path, 40)
    results = scan_all(listed, Order(), 2)
    next(results)
    results.close()
    deadline = time.monotonic() + 10
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("Thread-") and thread.is_alive()]


def test_a_project_cannot_put_its_own_modules_before_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "msgspec.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)
    listed = files(tmp_path, 3)
    assert all("pickle_stream" in one.formats for one in scan_all(listed[:3], Order(), 1))


def test_workers_know_what_other_modules_say(tmp_path: Path) -> None:
    from hauberk.scanning.engine import _acquainted

    (tmp_path / "asking.py").write_text(
        "from openai import OpenAI\ndef ask(q):\n    return OpenAI().responses.create(input=q).output_text\n"
    )
    (tmp_path / "running.py").write_text("from asking import ask\nexec(ask('q'))\n")
    listed = _acquainted(survey(tmp_path, (".",), ()).files, Limits())
    assert any(one.known is not None for one in listed)
    shared = [[getattr(row, "rule", "") for row in one.entries] for one in scan_all(listed, Order(), 2)]
    assert shared == [[getattr(row, "rule", "") for row in Order().reader()(one).entries] for one in listed]
    assert ["code.model_output_executed"] in shared
