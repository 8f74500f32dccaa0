"""A report as a reader meets it: the verdict in a sentence, requirements with their bars, findings by severity."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hauberk.assurance import wording
from hauberk.assurance.wording import count
from hauberk.core import plugins
from hauberk.core.card import Card
from hauberk.core.evidence import Finding, Indicator, Measurement, Severity, Skipped
from hauberk.core.policy import Acceptance, Judgement, Requirement, Status, accepted, failing
from hauberk.core.report import Report

ORDER: tuple[Status, ...] = ("not met", "not measured", "undecided", "met")


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """An interval on a scale: everything as a share 0–1 of its length. bounds: what the policy asks."""

    value: float
    low: float
    high: float
    bounds: tuple[float, ...] = ()


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A judgement, its measurement and where both lie on a scale.

    label, reason: the judgement's words, its numbers in the unit of the measurement.
    """

    judgement: Judgement
    label: str
    reason: str
    bar: Bar | None = None

    @property
    def status(self) -> Status:
        """How the requirement was judged."""
        return self.judgement.status


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """All findings of one severity."""

    severity: Severity
    findings: tuple[Finding, ...]


class Lived(msgspec.Struct, frozen=True, kw_only=True):
    """A finding its owner lives with, and why."""

    finding: Finding
    acceptance: Acceptance


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A self-check and the measurement it belongs to."""

    measurement: Measurement
    indicator: Indicator

    @property
    def word(self) -> str:
        """Passed, failed, or could not be made."""
        return {True: "passed", False: "failed", None: "not made"}[self.indicator.passed]


def rows(report: Report) -> tuple[Row, ...]:
    """Return every judgement, worst first, else in the policy's order."""
    asked = {str(requirement): requirement for requirement in report.policy.require}
    found = []
    for judgement in report.verdict().judgements:
        row = judgement.measurement
        requirement = asked.get(judgement.requirement)
        bar = None if row is None else scale(row, requirement)
        label = _label(judgement.requirement, requirement, row)
        found.append(Row(judgement=judgement, label=label, reason=_reason(judgement), bar=bar))
    return tuple(sorted(found, key=lambda row: ORDER.index(row.status)))


def _label(words: str, requirement: Requirement | None, row: Measurement | None) -> str:
    if requirement is None:
        return words[:1].upper() + words[1:]
    bounds = []
    for sign, bound in (("≥", requirement.min), ("≤", requirement.max)):
        if bound is not None:
            share = row is not None and wording.is_share(row)
            bounds.append(f"{sign} {100 * bound:g} %" if share else f"{sign} {bound:g}")
    threat = f" under {requirement.threat}" if requirement.threat else ""
    return f"{wording.title(requirement.measurement)}{threat} {' and '.join(bounds)}"


def _reason(judgement: Judgement) -> str:
    row = judgement.measurement
    if row is None:
        return judgement.reason
    crosses = ": the interval crosses the bound" if judgement.status == "undecided" else ""
    return f"{wording.value(row)} {wording.interval(row)}, n = {wording.samples(row)}{crosses}"


def beside(report: Report) -> tuple[Row, ...]:
    """Return the headlines that no requirement judges: measured, and to be read all the same."""
    judged = [judgement.measurement for judgement in report.verdict().judgements]
    free = [row for row in report.measurements if row.role == "headline" and row not in judged]
    return tuple(
        Row(
            judgement=Judgement(requirement=wording.what(row), status="met", reason="", measurement=row),
            label=wording.what(row),
            reason="",
            bar=scale(row, None),
        )
        for row in free
    )


def scale(row: Measurement, requirement: Requirement | None) -> Bar | None:
    """Place a measurement and its bounds on a scale: 0–1, or longer where they need it; None for amounts."""
    if wording.is_amount(row):
        return None
    bounds = [] if requirement is None else [b for b in (requirement.min, requirement.max) if b is not None]
    everything = [row.value, row.low, row.high, *bounds]
    start, end = min(0.0, *everything), max(1.0, *everything)

    def place(number: float) -> float:
        return min(1.0, max(0.0, (number - start) / (end - start)))

    return Bar(value=place(row.value), low=place(row.low), high=place(row.high), bounds=tuple(map(place, bounds)))


def sentence(report: Report) -> str:
    """Say the verdict in one sentence."""
    verdict = report.verdict()
    held = len(verdict.judgements)
    numbers = {status: sum(j.status == status for j in verdict.judgements) for status in ORDER}
    if verdict.status == "met":
        text = f"{report.project} meets its policy: {_all(held)} met"
    else:
        parts = [
            f"{numbers[status]} of {count(held, 'requirement')} {'is' if numbers[status] == 1 else 'are'} {status}"
            if not index
            else f"{numbers[status]} {status}"
            for index, status in enumerate(status for status in ORDER[:3] if numbers[status])
        ]
        lead = "does not meet its policy" if verdict.status == "not met" else "could not be judged wholly"
        text = f"{report.project} {lead}: {', '.join(parts)}"
    return f"{text}{'; the run was interrupted' if report.interrupted else ''}."


def _all(held: int) -> str:
    return "the one requirement is" if held == 1 else f"all {held} requirements are"


def deciding(report: Report) -> tuple[Row, ...]:
    """Return the judgements that make the verdict what it is; none where it is met."""
    status = report.verdict().status
    return () if status == "met" else tuple(row for row in rows(report) if row.status == status)


def fails(report: Report) -> tuple[Finding, ...]:
    """Return the findings that fail the policy, worst first."""
    return failing(report.evidence, report.policy, report.finished.date())


def groups(report: Report) -> tuple[Group, ...]:
    """Return the findings nobody has accepted by severity, worst first, empty severities left out."""
    today = report.finished.date()
    open_ = [finding for finding in report.findings if accepted(finding, report.policy, today) is None]
    found = []
    for severity in wording.WORST_FIRST:
        members = [finding for finding in open_ if finding.severity == severity]
        if members:
            found.append(Group(severity=severity, findings=tuple(sorted(members, key=_place))))
    return tuple(found)


def _place(finding: Finding) -> tuple[int, str, str, int]:
    sure = ("high", "medium", "low").index(finding.confidence)
    return (sure, finding.rule, finding.location.path, finding.location.line or finding.location.offset or 0)


def lived_with(report: Report) -> tuple[Lived, ...]:
    """Return the findings the owner accepted, with the acceptance that covers them today."""
    today = report.finished.date()
    found = []
    for finding in report.findings:
        acceptance = accepted(finding, report.policy, today)
        if acceptance is not None:
            found.append(Lived(finding=finding, acceptance=acceptance))
    return tuple(found)


def expired(report: Report) -> tuple[Acceptance, ...]:
    """Return the acceptances whose day has passed."""
    today = report.finished.date()
    return tuple(row for row in report.policy.accept if row.until is not None and row.until < today)


def checks(report: Report) -> tuple[Check, ...]:
    """Return every self-check of a headline, failed ones first."""
    found = [
        Check(measurement=row, indicator=indicator)
        for row in report.measurements
        if row.role == "headline"
        for indicator in row.indicators
    ]
    order = (False, None, True)
    return tuple(sorted(found, key=lambda check: order.index(check.indicator.passed)))


def gaps(report: Report) -> tuple[tuple[str, tuple[Skipped, ...]], ...]:
    """Return what was not tested by kind, the kinds that leave a verdict open first."""
    titles = {
        "interrupted": "Interrupted before it was done",
        "error": "Failed while it was looked at",
        "limit": "Beyond a safety bound",
        "power": "The model lacks a power the attack needs",
        "scope": "Out of scope",
    }
    found = []
    for kind, words in titles.items():
        members = tuple(item for item in report.skipped if item.kind == kind)
        if members:
            found.append((words, members))
    return tuple(found)


def tally(findings: Sequence[Finding]) -> str:
    """Count findings by severity in words: 2 critical, 1 high."""
    parts = [
        f"{number} {severity}"
        for severity in wording.WORST_FIRST
        if (number := sum(finding.severity == severity for finding in findings))
    ]
    return ", ".join(parts) or "none"


def rule_card(name: str) -> Card | None:
    """Return the card of a finding's rule; None where the catalogue of this version does not have it."""
    return next((entry.card for entry in plugins.catalog("rules") if entry.name == name), None)
