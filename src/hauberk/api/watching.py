"""The verb `watch`: run audits on a schedule, compare each with the last one, and report what is new."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from hauberk.api.reporting import load, rendered
from hauberk.assurance.difference import Difference, compare
from hauberk.core.cron import Cron
from hauberk.core.errors import HauberkError, UsageError
from hauberk.core.progress import Silent
from hauberk.core.protocols import Progress
from hauberk.core.provenance import Clock, utc_now
from hauberk.core.report import Report
from hauberk.sealing.writing import write_whole

_SILENT = Silent()
Audit: TypeAlias = Literal["scan", "data", "check"]
AUDITS: tuple[Audit, ...] = ("scan", "data", "check")
FOLDER = Path(".hauberk") / "watch"
_NAP = 30.0
"""Seconds slept at once: a machine that was suspended wakes up to the time it is."""


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One audit that was run. report: None where it failed, then `fault` says why. difference: None the first time.

    interrupted: it was stopped, and does not count as the last one.
    """

    audit: Audit
    at: dt.datetime
    report: Report | None = None
    difference: Difference | None = None
    fault: str = ""

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped half-way."""
        return self.report is not None and self.report.interrupted

    @property
    def exit_status(self) -> int:
        """0 nothing got worse, 1 something did (the first time: the policy is not met), 3 it could not be run."""
        if self.report is None or self.interrupted:
            return 3
        if self.difference is not None:
            return int(self.difference.worse)
        return self.report.verdict().exit_status


Runner: TypeAlias = Callable[[Path], Report]


def watch(
    folder: str | os.PathLike[str] = ".",
    *,
    every: str = "@daily",
    audits: Sequence[Audit] = ("scan",),
    zone: str = "",
    once: bool = False,
    progress: Progress = _SILENT,
    clock: Clock = utc_now,
    sleep: Callable[[float], None] = time.sleep,
    runners: dict[Audit, Runner] | None = None,
) -> Iterator[Round]:
    """Yield each audit as it is done: at once where there was none or one was missed, then as the schedule says.

    every: a cron expression, or @hourly, @daily …; zone: of its hours, by default the machine's. once: run each audit
    now, and end. Each report is on disk (.hauberk/watch/NAME.json) before it is compared and before it is yielded, so
    that whoever stops the watch at any moment loses nothing; one that was stopped half-way never replaces the last.
    Raises UsageError for a wrong expression, zone or folder, and where another watch runs here.

    Example:
        >>> next(hauberk.watch("examples/digits", once=True)).report.findings  # doctest: +SKIP
    """
    root, schedule, where = Path(folder), Cron.parse(every), _zone(zone)
    if not root.is_dir():
        raise UsageError("no such folder", where=str(folder))
    unknown = [audit for audit in audits if audit not in AUDITS]
    if unknown or not audits:
        raise UsageError(f'no audit "{unknown[0] if unknown else ""}"', fix=f"known: {', '.join(AUDITS)}")
    run = runners or _runners(progress)
    kept = root / FOLDER
    kept.mkdir(parents=True, exist_ok=True)
    tried: dict[Audit, dt.datetime] = {}
    with _alone(kept):
        while True:
            due = clock() if once else _due(kept, audits, tried, schedule, where, clock())
            while (left := (due - clock()).total_seconds()) > 0:
                sleep(min(left, _NAP))
            for audit in audits:
                tried[audit] = clock()
                yield _round(audit, root, kept, run[audit], clock)
            if once:
                return


def last(folder: str | os.PathLike[str], audit: Audit) -> Report | None:
    """Return the last whole report of an audit; None where there is none."""
    path = Path(folder) / FOLDER / f"{audit}.json"
    return load(path) if path.exists() else None


def _round(audit: Audit, root: Path, kept: Path, run: Runner, clock: Clock) -> Round:
    """Run one audit, keep it, and compare it; what it raises is part of the answer, not the end of the watch."""
    at = clock()
    try:
        report = run(root)
        before = last(root, audit)
    except HauberkError as error:
        return Round(audit=audit, at=at, fault=str(error))
    name = f"{audit}.stopped.json" if report.interrupted else f"{audit}.json"
    write_whole(kept / name, rendered(report, "json"))
    if report.interrupted or before is None:
        return Round(audit=audit, at=at, report=report)
    return Round(audit=audit, at=at, report=report, difference=compare(before, report))


def _due(
    kept: Path,
    audits: Sequence[Audit],
    tried: dict[Audit, dt.datetime],
    schedule: Cron,
    zone: dt.tzinfo,
    now: dt.datetime,
) -> dt.datetime:
    """Say when the next round is: now, where an audit was never tried or its time went by unseen."""
    times = []
    for audit in audits:
        path = kept / f"{audit}.json"
        ends = [load(path).finished] if path.exists() else []
        ends += [tried[audit]] if audit in tried else []
        if not ends:
            return now
        times.append(max(ends))
    return max(min(schedule.after(moment, zone) for moment in times), now)


def _runners(progress: Progress) -> dict[Audit, Runner]:
    from hauberk.api.auditing import audit
    from hauberk.api.checking import check
    from hauberk.api.scanning import scan

    return {
        "scan": lambda root: scan(root, progress=progress),
        "data": lambda root: audit("", folder=root, progress=progress),
        "check": lambda root: check(root, progress=progress),
    }


def _zone(name: str) -> dt.tzinfo:
    """Find a time zone by name, or the machine's own; raises UsageError."""
    own = Path("/etc/localtime")
    if not name and not own.exists():
        return dt.UTC
    try:
        if name:
            return ZoneInfo(name)
        with own.open("rb") as file:  # with its rules, not only today's offset
            return ZoneInfo.from_file(file, key="localtime")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(f'no time zone "{name or own}"', fix='such as "Europe/Berlin" or "UTC"') from error


@contextmanager
def _alone(kept: Path) -> Iterator[None]:
    """Hold the folder for one watch; raises UsageError where another one has it."""
    with (kept / "lock").open("w") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # a system without such locks
            pass
        except OSError as error:
            raise UsageError("another watch runs here", where=str(kept), fix="end it first") from error
        yield
