"""Rounds on a schedule: what is new, what failed, what was missed, and what a stop leaves."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from hauberk.api.scanning import scan
from hauberk.api.watching import FOLDER, last, watch
from hauberk.cli.watch_command import command
from hauberk.core.errors import MeasurementError, UsageError

START = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
EVIL = "import pickle\npickle.load(open('model.pkl', 'rb'))\n"


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now, self.slept = START, 0.0

    def __call__(self) -> dt.datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.now += dt.timedelta(seconds=seconds)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "a.py").write_text("x = 1\n")
    return tmp_path


def rounds(project: Path, count: int, between=lambda number: None, **settings):
    time = settings.pop("time", Time())
    runner = settings.pop("runner", lambda root: scan(root, clock=time))
    found = []
    for number, one in enumerate(
        itertools.islice(
            watch(
                project, clock=time, sleep=time.sleep, zone="UTC", runners={"scan": runner},
                **{"every": "0 3 * * *", **settings},
            ),
            count,
        )
    ):  # fmt: skip
        found.append((time.now, one))
        between(number)
    return found


def test_the_first_round_is_at_once_and_later_ones_come_on_time_and_say_what_is_new(project):
    def between(number: int) -> None:
        if number == 0:
            (project / "b.py").write_text(EVIL)

    found = rounds(project, 3, between)
    assert [moment for moment, _ in found] == [
        START,
        dt.datetime(2026, 11, 26, 3, tzinfo=dt.UTC),
        dt.datetime(2026, 11, 27, 3, tzinfo=dt.UTC),
    ]
    first, second, third = (one for _, one in found)
    assert (first.difference, first.exit_status) == (None, 0)
    assert [finding.location.path for finding in second.difference.new] == ["b.py"] * len(second.difference.new)
    assert second.difference.new
    assert second.exit_status == 1
    assert (third.difference.new, third.exit_status) == ((), 0)


def test_the_report_is_on_disk_before_anyone_hears_of_it(project):
    for one in watch(project, once=True, runners={"scan": scan}):
        assert last(project, "scan") == one.report


def test_a_round_that_was_missed_is_made_up_for_at_once(project):
    time = Time()
    rounds(project, 1, time=time)
    time.now = START + dt.timedelta(days=3)
    assert rounds(project, 1, time=time)[0][0] == START + dt.timedelta(days=3)
    time.now += dt.timedelta(hours=1)
    assert rounds(project, 1, time=time)[0][0] == dt.datetime(2026, 11, 29, 3, tzinfo=dt.UTC)


def test_an_audit_that_fails_is_said_and_tried_again_when_it_is_time(project):
    def broken(root: Path):
        raise MeasurementError("the disk is gone")

    found = rounds(project, 2, runner=broken)
    assert [one.fault for _, one in found] == ["the disk is gone"] * 2
    assert [one.exit_status for _, one in found] == [3, 3]
    assert found[1][0] == dt.datetime(2026, 11, 26, 3, tzinfo=dt.UTC)


def test_what_was_stopped_half_way_does_not_replace_the_last(project):
    (project / "b.py").write_text(EVIL)
    rounds(project, 1)
    kept = last(project, "scan")

    def stopped(root: Path):
        return msgspec.structs.replace(scan(root), evidence=(), interrupted=True)

    (one,) = watch(project, once=True, runners={"scan": stopped})
    assert one.interrupted
    assert last(project, "scan") == kept
    assert (project / FOLDER / "scan.stopped.json").exists()


def test_a_stop_while_it_sleeps_loses_nothing(project):
    time = Time()

    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    running = watch(project, clock=time, sleep=stop, runners={"scan": scan}, every="@daily", zone="UTC")
    first = next(running)
    with pytest.raises(KeyboardInterrupt):
        next(running)
    assert last(project, "scan") == first.report
    assert len(list(watch(project, once=True, runners={"scan": scan}))) == 1


def test_two_watches_of_one_folder_do_not_meet(project):
    running = watch(project, runners={"scan": scan})
    next(running)
    with pytest.raises(UsageError, match="another watch"):
        next(watch(project, once=True, runners={"scan": scan}))
    running.close()


def test_wrong_settings_say_so(project, tmp_path):
    for settings in ({"every": "x"}, {"zone": "Mars/Base"}, {"audits": ("none",)}, {"audits": ()}):
        with pytest.raises(UsageError):
            next(watch(project, **settings))
    with pytest.raises(UsageError, match="no such folder"):
        next(watch(tmp_path / "gone"))


def test_the_command_once(project):
    first = CliRunner().invoke(command, [str(project), "--once"], standalone_mode=False)
    assert first.return_value == 0
    assert "later rounds are compared with this one" in first.output
    (project / "b.py").write_text(EVIL)
    second = CliRunner().invoke(command, [str(project), "--once", "-q"], standalone_mode=False)
    assert second.return_value == 1
    assert "new: b.py" in second.output
    third = CliRunner().invoke(command, [str(project), "--once", "-q"], standalone_mode=False)
    assert (third.return_value, third.stdout) == (0, "")
    as_json = CliRunner().invoke(command, [str(project), "--once", "--format", "json"], standalone_mode=False)
    assert as_json.stdout.startswith("{")
