"""What is acceptable, and the verdict on a body of evidence. A verdict is computed, never stored."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

import msgspec

from hauberk.core.evidence import Evidence, Finding, Measurement, Severity, Skipped, severity_rank

Status: TypeAlias = Literal["met", "not met", "undecided", "not measured"]
EXIT: dict[Status, int] = {"met": 0, "not met": 1, "undecided": 3, "not measured": 3}


class Requirement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A bound on a headline measurement. threat: the name in [threats]; empty for every headline of that name."""

    measurement: str
    threat: str = ""
    min: float | None = None
    max: float | None = None

    def __str__(self) -> str:
        bound = " and ".join(
            part
            for part in (
                f"≥ {self.min:g}" if self.min is not None else "",
                f"≤ {self.max:g}" if self.max is not None else "",
            )
            if part
        )
        return f"{self.measurement}{f' under {self.threat}' if self.threat else ''} {bound}"


class Acceptance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A finding the owner lives with. rule and path may hold * wildcards; after `until` it counts again."""

    rule: str
    reason: str
    path: str = "*"
    until: dt.date | None = None


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is acceptable.

    fail_on: findings of this severity or above fail, "never" for none. require: bounds on measurements.
    accept: findings the owner lives with. incomplete: what a Skipped for a safety limit, an error or an interruption
    does to the verdict: "fail" (cannot be measured, exit 3) or "report" (named only).
    """

    fail_on: Severity | Literal["never"] = "high"
    require: tuple[Requirement, ...] = ()
    accept: tuple[Acceptance, ...] = ()
    incomplete: Literal["fail", "report"] = "fail"

    def bounds(self, measurement: str, threat: str) -> tuple[float, ...]:
        """Return the bounds asked of a measurement under a threat, ascending."""
        rows = [row for row in self.require if row.measurement == measurement and row.threat in ("", threat)]
        return tuple(sorted({bound for row in rows for bound in (row.min, row.max) if bound is not None}))


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """One requirement against its evidence. reason: one sentence with the numbers."""

    requirement: str
    status: Status
    reason: str
    measurement: Measurement | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """All judgements; status is the worst, "not met" before what could not be measured."""

    status: Status
    judgements: tuple[Judgement, ...]

    @property
    def exit_status(self) -> int:
        """0 met, 1 not met, 3 could not be measured."""
        return EXIT[self.status]


def judge(evidence: Sequence[Evidence], policy: Policy, today: dt.date) -> Verdict:
    """Hold evidence against a policy."""
    judgements = [_findings(evidence, policy, today)]
    for requirement in policy.require:
        judgements.extend(_bound(requirement, evidence))
    if policy.incomplete == "fail":
        judgements.extend(_gaps(evidence))
    order: tuple[Status, ...] = ("not met", "not measured", "undecided", "met")
    worst = min((judgement.status for judgement in judgements), key=order.index)
    return Verdict(status=worst, judgements=tuple(judgements))


def accepted(finding: Finding, policy: Policy, today: dt.date) -> Acceptance | None:
    """Return the acceptance that covers a finding today, if one does: the policy's, or the one in its own file."""
    for acceptance in policy.accept:
        current = acceptance.until is None or today <= acceptance.until
        if (
            current
            and fnmatchcase(finding.rule, acceptance.rule)
            and fnmatchcase(finding.location.path, acceptance.path)
        ):
            return acceptance
    if finding.ignored:
        return Acceptance(rule=finding.rule, path=finding.location.path, reason=finding.ignored)
    return None


def failing(evidence: Sequence[Evidence], policy: Policy, today: dt.date) -> tuple[Finding, ...]:
    """Return the findings that fail the policy, worst first; low-confidence ones never fail by themselves."""
    if policy.fail_on == "never":
        return ()
    bar = severity_rank(policy.fail_on)
    rows = [
        item
        for item in evidence
        if isinstance(item, Finding)
        and severity_rank(item.severity) >= bar
        and item.confidence != "low"
        and accepted(item, policy, today) is None
    ]
    return tuple(sorted(rows, key=lambda item: (-severity_rank(item.severity), item.rule, str(item.location))))


def _findings(evidence: Sequence[Evidence], policy: Policy, today: dt.date) -> Judgement:
    title = f"no finding of severity {policy.fail_on} or above"
    bad = failing(evidence, policy, today)
    if not bad:
        return Judgement(requirement=title, status="met", reason="none found in what was looked at")
    places = ", ".join(f"{item.rule} at {item.location}" for item in bad[:3])
    more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
    return Judgement(requirement=title, status="not met", reason=f"{len(bad)} found: {places}{more}")


def _bound(requirement: Requirement, evidence: Sequence[Evidence]) -> list[Judgement]:
    rows = [
        item
        for item in evidence
        if isinstance(item, Measurement)
        and item.role == "headline"
        and item.name == requirement.measurement
        and requirement.threat in ("", item.threat)
    ]
    if not rows:
        why = [
            item.reason
            for item in evidence
            if isinstance(item, Skipped) and requirement.threat and requirement.threat in item.subject
        ]
        reason = f"no such measurement was made{': ' + why[0] if why else ''}"
        return [Judgement(requirement=str(requirement), status="not measured", reason=reason)]
    return [_hold(requirement, row) for row in rows]


def _hold(requirement: Requirement, row: Measurement) -> Judgement:
    """Decide by the interval.

    Met only if all of it is on the good side, not met if the value itself is on the bad side.
    """
    figure = f"{row.value:.3g} [{row.low:.3g}, {row.high:.3g}], n = {row.n}"
    low, high = requirement.min, requirement.max
    status: Status = "met"
    if (low is not None and row.value < low) or (high is not None and row.value > high):
        status = "not met"
    elif (low is not None and row.low < low) or (high is not None and row.high > high):
        status = "undecided"
        figure += ": the interval crosses the bound, measure more samples"
    return Judgement(requirement=str(requirement), status=status, reason=figure, measurement=row)


def _gaps(evidence: Sequence[Evidence]) -> list[Judgement]:
    gaps = [item for item in evidence if isinstance(item, Skipped) and item.kind in ("limit", "interrupted", "error")]
    if not gaps:
        return []
    names = ", ".join(f"{gap.subject} ({gap.reason})" for gap in gaps[:3])
    more = f" and {len(gaps) - 3} more" if len(gaps) > 3 else ""
    return [Judgement(requirement="everything could be looked at", status="not measured", reason=f"{names}{more}")]
