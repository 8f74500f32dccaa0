"""Cron expressions: five fields, lists, ranges, steps and names; the next moment, also where clocks change.

As in POSIX crontab(5): where both the day of the month and the day of the week are restricted, either one will do.
"""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from hauberk.core.errors import UsageError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...], int], ...] = (
    ("minute", 0, 59, (), 0),
    ("hour", 0, 23, (), 0),
    ("day of the month", 1, 31, (), 0),
    ("month", 1, 12, _MONTHS, 1),
    ("day of the week", 0, 7, _DAYS, 0),
)
"""Name, least, most, words, number of the first word."""
_YEARS = 9
"""The 29th of February can be eight years away."""


class Cron(NamedTuple):
    """When to do something. minutes … weekdays: numbers that fit (0 is Sunday). either: a day fits by either field."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool

    @classmethod
    def parse(cls, text: str) -> Cron:
        """Read an expression such as "30 3 * * mon-fri" or "@daily"; raises UsageError that names the field."""
        parts = _NICKNAMES.get(text.strip().lower(), text).split()
        if len(parts) != len(_FIELDS):
            raise UsageError(
                f'"{text}" has {len(parts)} fields, not five',
                where="cron",
                fix='minute hour day month weekday: "0 3 * * *"',
            )
        minutes, hours, days, months, weekdays = (
            _field(part, *rule) for part, rule in zip(parts, _FIELDS, strict=True)
        )
        either = not parts[2].startswith("*") and not parts[4].startswith("*")
        return cls(text, minutes, hours, days, months, frozenset(day % 7 for day in weekdays), either)

    def after(self, moment: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
        """Return the first moment after `moment` (with its zone) that fits, in UTC; raises UsageError where none does.

        A time the clocks leave out comes as much later as they jump; one that comes twice counts once, unless every
        hour fits: then time goes on as it passes.
        """
        now = moment.astimezone(dt.UTC)
        if len(self.hours) == 24:
            return self._walked(now, zone)
        day = now.astimezone(zone).date() - dt.timedelta(days=1)
        for _ in range(366 * _YEARS):
            if self._fits(day):
                found = [at for at in self._times(day, zone) if at > now]
                if found:
                    return min(found)
            day += dt.timedelta(days=1)
        raise self._never()

    def _times(self, day: dt.date, zone: dt.tzinfo) -> list[dt.datetime]:
        """List the moments of a day in UTC."""
        return [
            dt.datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(dt.UTC)
            for hour in self.hours
            for minute in self.minutes
        ]

    def _walked(self, now: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
        """Walk hour by hour as time passes."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        for _ in range(24 * 366 * _YEARS):
            ends = (hour, hour + dt.timedelta(minutes=59))
            if any(self._fits(end.astimezone(zone).date()) for end in ends):
                for minute in range(60):
                    at = hour + dt.timedelta(minutes=minute)
                    local = at.astimezone(zone)
                    if at > now and local.minute in self.minutes and self._fits(local.date()):
                        return at
            hour += dt.timedelta(hours=1)
        raise self._never()

    def _fits(self, day: dt.date) -> bool:
        by_month, by_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (by_month or by_week if self.either else by_month and by_week)

    def _never(self) -> UsageError:
        return UsageError(f'"{self.text}" never comes', where="cron", fix="look at day and month")


def _field(text: str, name: str, least: int, most: int, words: tuple[str, ...], first: int) -> frozenset[int]:
    """Read one field: parts by commas, each a number, a range or *, perhaps with a step."""
    found: set[int] = set()
    for part in text.split(","):
        body, slash, step = part.partition("/")
        if slash and not (step.isdecimal() and step.isascii() and 0 < int(step) <= most):
            raise _wrong(text, name, f'"{step}" is no step')
        if body == "*":
            low, high = least, most
        else:
            start, dash, end = body.partition("-")
            low = _number(start, text, name, words, first)
            high = _number(end, text, name, words, first) if dash else (most if slash else low)
        if not least <= low <= high <= most:
            raise _wrong(text, name, f"{low} to {high} is not within {least} to {most}")
        found.update(range(low, high + 1, int(step) if slash else 1))
    return frozenset(found)


def _number(text: str, whole: str, name: str, words: tuple[str, ...], first: int) -> int:
    if text.lower() in words:
        return words.index(text.lower()) + first
    if not (text.isdecimal() and text.isascii()):
        raise _wrong(whole, name, f'"{text}" is no number')
    return int(text)


def _wrong(text: str, name: str, why: str) -> UsageError:
    return UsageError(f'{name} "{text}": {why}', where="cron", fix='such as "0 3 * * mon-fri" or "*/15 * * * *"')
