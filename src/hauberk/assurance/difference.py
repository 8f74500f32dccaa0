"""Two reports compared: findings new and fixed, figures better or worse where their intervals say so."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import msgspec

from hauberk.assurance import wording
from hauberk.core.evidence import Finding, Measurement
from hauberk.core.fingerprint import fingerprints
from hauberk.core.policy import Status, accepted
from hauberk.core.report import Report

Judged: TypeAlias = Literal[
    "worse", "better", "changed", "no significant change", "no interval", "not comparable", "new", "gone"
]
"""changed: significant, of a quantity that is neither good nor bad. gone, new: measured on one side only."""

ORDER: tuple[Judged, ...] = (
    "worse", "better", "changed", "not comparable", "no interval", "gone", "new", "no significant change",
)  # fmt: skip


EVERYTHING = "everything could be looked at"
"""What core/policy.py calls the judgement about gaps."""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """What identifies one of the two reports."""

    project: str
    run: str
    version: str
    finished: dt.datetime
    status: Status


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity on both sides. low, high: interval of after − before; caveats: what else differs between them."""

    before: Measurement | None
    after: Measurement | None
    judged: Judged
    low: float | None = None
    high: float | None = None
    caveats: tuple[str, ...] = ()

    @property
    def row(self) -> Measurement:
        """The measurement that names the quantity."""
        found = self.after or self.before
        assert found is not None
        return found


class Flip(msgspec.Struct, frozen=True, kw_only=True):
    """A requirement whose status changed; None where the policy of that side did not have it."""

    requirement: str
    before: Status | None
    after: Status | None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What changed from one report to another. warnings: why they cannot be compared without a thought."""

    before: Side
    after: Side
    new: tuple[Finding, ...]
    fixed: tuple[Finding, ...]
    unchanged: tuple[Finding, ...]
    changes: tuple[Change, ...]
    flips: tuple[Flip, ...]
    warnings: tuple[str, ...] = ()

    @property
    def worse(self) -> bool:
        """Tell whether anything got worse: a new finding above info, a figure, a requirement that was met."""
        return (
            any(finding.severity != "info" for finding in self.new)
            or any(change.judged == "worse" for change in self.changes)
            or any(flip.before == "met" and flip.after is not None for flip in self.flips)
        )

    @property
    def headlines(self) -> tuple[Change, ...]:
        """The changes of what a policy can judge; the others are points of curves."""
        return tuple(change for change in self.changes if change.row.role == "headline")

    @property
    def points(self) -> str:
        """Count how points of curves were judged, in words; empty where there are none."""
        counts = Counter(change.judged for change in self.changes if change.row.role != "headline")
        return ", ".join(f"{counts[word]} {word}" for word in ORDER if counts[word])

    @property
    def summary(self) -> str:
        """Say what changed in one line."""
        counts = Counter(change.judged for change in self.headlines)
        parts = [
            f"{len(self.new)} new, {len(self.fixed)} fixed, {len(self.unchanged)} unchanged findings",
            f"{counts['better']} better, {counts['worse']} worse of {wording.count(len(self.headlines), 'figure')}",
            f"{wording.count(len(self.flips), 'requirement')} changed status",
        ]
        return "; ".join(parts)


def compare(a: Report, b: Report) -> Difference:
    """Compare report `a` (before) with report `b` (after)."""
    findings = _findings(a, b)
    return Difference(
        before=_side(a),
        after=_side(b),
        new=findings[0],
        fixed=findings[1],
        unchanged=findings[2],
        changes=tuple(sorted(_changes(a, b), key=lambda row: (ORDER.index(row.judged), row.row.role != "headline"))),
        flips=tuple(_flips(a, b)),
        warnings=tuple(_warnings(a, b)),
    )


def _side(report: Report) -> Side:
    return Side(
        project=report.project,
        run=report.run,
        version=report.version,
        finished=report.finished,
        status=report.verdict().status,
    )


def _findings(a: Report, b: Report) -> tuple[tuple[Finding, ...], tuple[Finding, ...], tuple[Finding, ...]]:
    """Match the findings nobody has accepted by fingerprint: (new, fixed, unchanged), the latter as they are now."""
    old, now = _open(a), _open(b)
    before = dict(zip(fingerprints(old), old, strict=True))
    after = dict(zip(fingerprints(now), now, strict=True))
    return (
        _ranked([finding for mark, finding in after.items() if mark not in before]),
        _ranked([finding for mark, finding in before.items() if mark not in after]),
        _ranked([finding for mark, finding in after.items() if mark in before]),
    )


def _open(report: Report) -> list[Finding]:
    today = report.finished.date()
    return [finding for finding in report.findings if accepted(finding, report.policy, today) is None]


def _ranked(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    worst = {severity: rank for rank, severity in enumerate(wording.WORST_FIRST)}
    return tuple(sorted(findings, key=lambda finding: (worst[finding.severity], finding.rule, str(finding.location))))


_Key: TypeAlias = tuple[str, ...]


def _changes(a: Report, b: Report) -> Iterator[Change]:
    """Pair headlines by name and threat, points of curves by where they lie; targets may have changed their name."""
    old, now = _keyed(a), _keyed(b)
    for key in dict.fromkeys((*old, *now)):
        before, after = old.get(key), now.get(key)
        if before is None or after is None:
            yield Change(before=before, after=after, judged="gone" if after is None else "new")
        else:
            yield _judged(before, after)


def _keyed(report: Report) -> dict[_Key, Measurement]:
    found: dict[_Key, Measurement] = {}
    for row in report.measurements:
        if row.role == "headline":
            key: _Key = (row.role, row.name, row.threat)
        elif row.role == "curve":
            key = (row.role, row.name, row.threat, row.norm, repr(row.radius), row.along, repr(row.at))
        else:
            continue
        found.setdefault(key if key not in found else (*key, row.subject), row)
    return found


def _judged(before: Measurement, after: Measurement) -> Change:
    reasons = list(_unlike(before, after))
    caveats = tuple(_caveats(before, after))
    if reasons:
        return Change(before=before, after=after, judged="not comparable", caveats=(*reasons, *caveats))
    if "none" in (before.method, after.method) or min(before.n, after.n) < 1:
        return Change(before=before, after=after, judged="no interval", caveats=caveats)
    low, high = _interval(before, after)
    judged: Judged = "no significant change"
    if low > 0 or high < 0:
        good = {"higher": low > 0, "lower": high < 0}.get(after.better)
        judged = "changed" if good is None else "better" if good else "worse"
    return Change(before=before, after=after, judged=judged, low=low, high=high, caveats=caveats)


def _interval(before: Measurement, after: Measurement) -> tuple[float, float]:
    """Bound after − before from the two intervals: square-and-add (MOVER, Zou & Donner 2008).

    With Wilson's intervals of two rates it is Newcombe's method 10 (1998). It takes the two for
    independent; on the same samples they rise and fall together, so that it errs towards no significant change.
    """
    value = after.value - before.value
    low = value - math.hypot(after.value - after.low, before.high - before.value)
    high = value + math.hypot(after.high - after.value, before.value - before.low)
    return low, high


def _unlike(before: Measurement, after: Measurement) -> Iterator[str]:
    """Say why two figures are not of the same quantity."""
    if before.unit != after.unit or before.better != after.better:
        yield f"unit {before.unit} → {after.unit}"
    if (before.norm, before.radius) != (after.norm, after.radius):
        yield f"attacker {_ball(before)} → {_ball(after)}"
    if before.level != after.level:
        yield f"level {before.level:g} → {after.level:g}"


def _ball(row: Measurement) -> str:
    return wording.ball(row.norm, row.radius) or "without a ball"


def _caveats(before: Measurement, after: Measurement) -> Iterator[str]:
    old, now = before.provenance, after.provenance
    if old.recipe != now.recipe:
        yield f"recipe {old.recipe} → {now.recipe}"
    settings = {setting.name: setting.value for setting in now.settings}
    for setting in old.settings:
        if setting.name in settings and settings[setting.name] != setting.value:
            yield f"{setting.name} {setting.value} → {settings[setting.name]}"
    names = {setting.name for setting in old.settings}
    if names != set(settings):
        yield f"other settings: {', '.join(sorted(names ^ set(settings)))}"
    if any(indicator.passed is False for indicator in (*before.indicators, *after.indicators)):
        yield "a self-check failed"


def _flips(a: Report, b: Report) -> Iterator[Flip]:
    old, now = _statuses(a), _statuses(b)
    for requirement in dict.fromkeys((*old, *now)):
        if old.get(requirement) != now.get(requirement):
            yield Flip(requirement=requirement, before=old.get(requirement), after=now.get(requirement))


def _statuses(report: Report) -> dict[str, Status]:
    """Status by requirement; the worst where one requirement holds several headlines.

    That everything could be looked at is judged only where something could not: elsewhere it is met.
    """
    order: tuple[Status, ...] = ("met", "undecided", "not measured", "not met")
    found: dict[str, Status] = {EVERYTHING: "met"} if report.policy.incomplete == "fail" else {}
    for judgement in report.verdict().judgements:
        known = found.get(judgement.requirement, "met")
        found[judgement.requirement] = max(known, judgement.status, key=order.index)
    return found


def _warnings(a: Report, b: Report) -> Iterator[str]:
    """Name what differs between the runs besides their answers."""
    if a.project != b.project:
        yield f"two projects: {a.project} and {b.project}"
    if a.version != b.version:
        yield f"two versions of hauberk: {a.version} and {b.version}; rules and attacks may differ"
    old, now = a.target, b.target
    if (old.digest if old else "") != (now.digest if now else ""):
        yield f"the model is another one: {_name(old.name if old else '')} and {_name(now.name if now else '')}"
    if (a.dataset.digest if a.dataset else "") != (b.dataset.digest if b.dataset else ""):
        yield "the data differ: figures are not of the same samples and not comparable one by one"
    if a.policy != b.policy:
        yield "the policies differ: requirements may have changed, not the model"
    if a.seed != b.seed:
        yield f"the seeds differ: {a.seed} and {b.seed}"
    for name, report in (("before", a), ("after", b)):
        if report.interrupted:
            yield f"the run {name} was interrupted: what it lacks is not gone"
    lost = {item.subject for item in b.skipped} - {item.subject for item in a.skipped}
    if lost:
        shown = ", ".join(sorted(lost)[:5]) + (f" and {len(lost) - 5} more" if len(lost) > 5 else "")
        yield f"looked at before, not after: {shown}; a finding there is not fixed"


def _name(words: str) -> str:
    return words or "none"
