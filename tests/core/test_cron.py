"""Cron expressions, the next moment, and the two nights a year when clocks change."""

from __future__ import annotations

import datetime as dt
import itertools
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.core.cron import Cron
from hauberk.core.errors import UsageError

UTC, BERLIN, NEW_YORK, KOLKATA = (
    dt.UTC,
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("America/New_York"),
    ZoneInfo("Asia/Kolkata"),
)


def after(text: str, moment: str, zone: dt.tzinfo = UTC) -> str:
    start = dt.datetime.fromisoformat(moment)
    start = start if start.tzinfo else start.replace(tzinfo=zone)
    return Cron.parse(text).after(start, zone).astimezone(zone).isoformat(timespec="minutes")


@pytest.mark.parametrize(
    ("text", "moment", "found"),
    [
        ("0 3 * * *", "2026-01-01T02:59", "2026-01-01T03:00"),
        ("0 3 * * *", "2026-01-01T03:00", "2026-01-02T03:00"),
        ("0 3 * * *", "2026-01-01T03:00:00.5", "2026-01-02T03:00"),
        ("*/15 * * * *", "2026-01-01T10:14:59", "2026-01-01T10:15"),
        ("*/15 * * * *", "2026-12-31T23:45", "2027-01-01T00:00"),
        ("5-10/5,40 9 * * *", "2026-01-01T09:05", "2026-01-01T09:10"),
        ("5-10/5,40 9 * * *", "2026-01-01T09:10", "2026-01-01T09:40"),
        ("0 0 * * mon-fri", "2026-11-27T12:00", "2026-11-30T00:00"),
        ("0 0 * * 7", "2026-11-25T12:00", "2026-11-29T00:00"),
        ("0 0 * * SUN", "2026-11-25T12:00", "2026-11-29T00:00"),
        ("0 0 31 * *", "2026-04-01T00:00", "2026-05-31T00:00"),
        ("0 0 29 feb *", "2026-01-01T00:00", "2028-02-29T00:00"),
        ("0 0 29 2 *", "2096-03-01T00:00", "2104-02-29T00:00"),
        ("0 0 13 * fri", "2026-11-25T00:00", "2026-11-27T00:00"),
        ("0 0 */2 * fri", "2026-11-25T00:00", "2026-11-27T00:00"),
        ("30 4 1,15 * *", "2026-11-02T00:00", "2026-11-15T04:30"),
        ("0 22 * jan,jul mon", "2026-02-01T00:00", "2026-07-06T22:00"),
        ("3/20 * * * *", "2026-01-01T00:04", "2026-01-01T00:23"),
        ("@hourly", "2026-01-01T00:00", "2026-01-01T01:00"),
        ("@daily", "2026-01-01T00:00", "2026-01-02T00:00"),
        ("@weekly", "2026-11-25T00:00", "2026-11-29T00:00"),
        ("@monthly", "2026-11-25T00:00", "2026-12-01T00:00"),
        ("@yearly", "2026-11-25T00:00", "2027-01-01T00:00"),
    ],
)
def test_the_next_moment(text, moment, found):
    assert after(text, moment) == found + "+00:00"


def test_a_time_the_clocks_leave_out_comes_as_much_later_as_they_jump_and_once():
    assert after("30 2 * * *", "2026-03-28T12:00", BERLIN) == "2026-03-29T03:30+02:00"
    assert after("30 2 * * *", "2026-03-29T03:30", BERLIN) == "2026-03-30T02:30+02:00"
    assert after("30 2 * * *", "2026-03-07T12:00", NEW_YORK) == "2026-03-08T03:30-04:00"


def test_a_time_that_comes_twice_counts_once():
    assert after("30 2 * * *", "2026-10-24T12:00", BERLIN) == "2026-10-25T02:30+02:00"
    assert after("30 2 * * *", "2026-10-25T02:30:00+02:00", BERLIN) == "2026-10-26T02:30+01:00"


def test_what_fits_every_hour_goes_on_as_time_passes():
    moment, found = dt.datetime(2026, 10, 25, 0, 0, tzinfo=BERLIN), []
    for _ in range(12):
        moment = Cron.parse("*/30 * * * *").after(moment, BERLIN)
        found.append(moment)
    assert {two - one for one, two in itertools.pairwise(found)} == {dt.timedelta(minutes=30)}
    spring = dt.datetime(2026, 3, 29, 1, 45, tzinfo=BERLIN)
    assert Cron.parse("*/30 * * * *").after(spring, BERLIN) - spring.astimezone(UTC) == dt.timedelta(minutes=15)


def test_zones_with_half_hours():
    assert after("0 * * * *", "2026-01-01T10:20", KOLKATA) == "2026-01-01T11:00+05:30"
    assert after("0 9 * * *", "2026-01-01T10:20", KOLKATA) == "2026-01-02T09:00+05:30"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 8",
        "a * * * *",
        "1-0 * * * *",
        "*/0 * * * *",
        "*/x * * * *",
        "1,, * * * *",
        "-1 * * * *",
        "@never",
        "٣ * * * *",
    ],
)
def test_what_is_no_expression_says_so(text):
    with pytest.raises(UsageError):
        Cron.parse(text)


def test_what_never_comes_says_so():
    with pytest.raises(UsageError, match="never comes"):
        after("0 0 30 2 *", "2026-01-01T00:00")
    with pytest.raises(UsageError, match="never comes"):
        after("* * 31 4 *", "2026-01-01T00:00")


@given(
    st.integers(0, 59), st.integers(0, 23), st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2040, 1, 1)),
    st.sampled_from([UTC, BERLIN, NEW_YORK, KOLKATA]),
)  # fmt: skip
def test_it_is_always_later_and_at_most_a_day_and_a_jump_away(minute, hour, moment, zone):
    start = moment.replace(tzinfo=zone)
    found = Cron.parse(f"{minute} {hour} * * *").after(start, zone)
    assert dt.timedelta(0) < found - start.astimezone(UTC) <= dt.timedelta(hours=49)
    local = found.astimezone(zone)
    assert local.minute == minute
    assert local.hour in (hour, (hour + 1) % 24)
