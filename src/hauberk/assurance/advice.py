"""What to do next: concrete steps, the ones that change the verdict first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import msgspec

from hauberk.assurance import reading, wording
from hauberk.assurance.reading import Row
from hauberk.assurance.wording import count
from hauberk.core.evidence import Finding, Measurement, severity_rank
from hauberk.core.report import Report

REMEDIES: dict[str, str] = {
    "robust_accuracy": "Harden the model against this threat (`hauberk harden`), then check again",
    "clean_accuracy": "Train a better model: it errs before anyone attacks it",
    "membership_": "Reduce what the model remembers: regularise, stop training earlier, train with differential "
    "privacy, or answer with fewer digits",
    "extraction_": "Make copying dearer: limit queries per client, and answer with labels or rounded scores",
    "backdoor_": "Vet where training rows come from, and look for a trigger before training on them",
}
"""Beginning of a measurement's name → what mends it."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do. kind: what it answers; why: the evidence; places: where; anchor: section of the HTML report."""

    kind: Literal["finding", "requirement", "check", "gap", "acceptance"]
    title: str
    why: str
    places: tuple[str, ...] = ()
    weight: str = ""
    anchor: str = ""


def steps(report: Report) -> tuple[Step, ...]:
    """Rank what to do: failing findings, requirements not met, failed checks, undecided ones, gaps, the rest."""
    rows = reading.rows(report)
    return (
        *_findings(report),
        *(_mend(row) for row in rows if row.status == "not met" and row.judgement.measurement),
        *_checks(report),
        *(_measure(row) for row in rows if row.status in ("undecided", "not measured") and _is_bound(report, row)),
        *_gaps(report),
        *_expired(report),
        *_others(report),
    )


def _is_bound(report: Report, row: Row) -> bool:
    return row.judgement.requirement in {str(requirement) for requirement in report.policy.require}


def _findings(report: Report) -> Iterator[Step]:
    """One step for each rule and remedy: thirty places with one fault are one thing to do."""
    together: dict[tuple[str, str], list[Finding]] = {}
    for finding in reading.fails(report):
        together.setdefault((finding.rule, finding.fix), []).append(finding)
    order = sorted(together.items(), key=lambda item: (-severity_rank(item[1][0].severity), -len(item[1]), item[0]))
    for (rule, fix), members in order:
        worst = members[0]
        more = "" if len(members) == 1 else f" — and {count(len(members) - 1, 'more place')}"
        yield Step(
            kind="finding",
            title=wording.opened(fix or worst.message),
            why=f"{worst.message}{more}",
            places=tuple(str(member.location) for member in members[:5]),
            weight=f"{worst.severity} · {rule}",
            anchor="findings",
        )


def _mend(row: Row) -> Step:
    measurement = row.judgement.measurement
    assert measurement is not None
    remedy = next((words for start, words in REMEDIES.items() if measurement.name.startswith(start)), "")
    return Step(
        kind="requirement",
        title=remedy or f"Bring {wording.title(measurement.name)} within its bound",
        why=f"{row.label}: {row.reason}",
        weight="requirement not met",
        anchor="requirements",
    )


def _measure(row: Row) -> Step:
    title = "Make the measurement that this requirement needs"
    if row.judgement.measurement is not None:
        title = "Measure more samples"
        needed, there = enough(row), row.judgement.measurement.population
        if needed is not None and there is not None and needed > there:
            title = f"Give more test samples: about {needed:,} would decide it, there are {there:,}"
        elif needed is not None:
            title += f": about {needed:,} would decide it"
    return Step(
        kind="requirement",
        title=title,
        why=f"{row.label}: {row.reason}",
        weight=row.status,
        anchor="requirements",
    )


def enough(row: Row) -> int | None:
    """Estimate the samples after which the interval no longer crosses the bound, if the value stays as it is.

    A half-width shrinks with the root of n. None where it cannot be told.
    """
    measurement = row.judgement.measurement
    if measurement is None or row.bar is None or not row.bar.bounds:
        return None
    gap = min(abs(row.bar.value - bound) for bound in row.bar.bounds)
    half = max(row.bar.high - row.bar.value, row.bar.value - row.bar.low)
    if gap < 1e-6 or half <= gap:
        return None
    return _round_up(math.ceil(measurement.n * (half / gap) ** 2 * 1.1))


def _round_up(number: int) -> int:
    unit: int = 10 ** max(0, len(str(number)) - 2)
    return -(-number // unit) * unit


def _checks(report: Report) -> Iterator[Step]:
    seen: dict[Measurement, list[str]] = {}
    for check in reading.checks(report):
        if check.indicator.passed is False:
            seen.setdefault(check.measurement, []).append(f"{check.indicator.name} – {check.indicator.detail}")
    for row, failed in seen.items():
        yield Step(
            kind="check",
            title=f"Do not quote {wording.inside(wording.what(row))} before its self-checks pass",
            why="; ".join(failed),
            weight=wording.trust(row),
            anchor="trust",
        )
    bare = [row for row in report.measurements if row.role == "headline" and wording.trust(row).startswith("unchecked")]
    if bare:
        yield Step(
            kind="check",
            title="Read these as unchecked: no self-check stands behind them",
            why=wording.listing([wording.what(row) for row in bare[:6]]),
            weight="unchecked",
            anchor="trust",
        )


def _gaps(report: Report) -> Iterator[Step]:
    if report.interrupted:
        yield Step(
            kind="gap",
            title="Go on where the run was interrupted: `hauberk check --resume`",
            why="what was measured until then is kept and counts",
            weight="interrupted",
            anchor="gaps",
        )
    together: dict[tuple[str, str, str], list[str]] = {}
    for item in report.skipped:
        if item.fix and item.kind != "interrupted":
            together.setdefault((item.kind, item.fix, item.reason), []).append(item.subject)
    order = ("error", "limit", "power", "scope")
    for (kind, fix, reason), subjects in sorted(together.items(), key=lambda item: order.index(item[0][0])):
        yield Step(
            kind="gap",
            title=wording.opened(fix),
            why=f"not tested: {reason}",
            places=tuple(subjects[:5]),
            weight=f"gap · {kind}",
            anchor="gaps",
        )


def _expired(report: Report) -> Iterator[Step]:
    for acceptance in reading.expired(report):
        yield Step(
            kind="acceptance",
            title=f"Decide again about {acceptance.rule}: its acceptance ended on {acceptance.until}",
            why=f"accepted because {acceptance.reason}",
            weight="acceptance expired",
            anchor="findings",
        )


def _others(report: Report) -> Iterator[Step]:
    bad = set(reading.fails(report))
    rest = [finding for group in reading.groups(report) for finding in group.findings if finding not in bad]
    if rest:
        yield Step(
            kind="finding",
            title=f"Then look through {count(len(rest), 'finding')} below the bar of the policy",
            why=reading.tally(rest),
            weight="does not fail",
            anchor="findings",
        )
