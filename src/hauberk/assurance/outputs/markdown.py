"""Markdown for a pull-request comment: verdict, requirements, the worst findings, the rest folded away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from hauberk.assurance import advice, reading, wording
from hauberk.assurance.escaping import clipped, code, markdown
from hauberk.assurance.reading import Row
from hauberk.core.card import Card
from hauberk.core.evidence import Finding
from hauberk.core.policy import Status
from hauberk.core.report import Report

LIMIT = 60_000
"""Bytes of a comment; GitHub takes 65,536 characters."""
FINDINGS, GAPS, STEPS = 10, 30, 5
SIGNS: dict[Status, str] = {"met": "✅", "not met": "❌", "undecided": "❔", "not measured": "➖"}


class Markdown:
    """Write a short comment; everything others wrote is escaped: no link, no mention, no table broken."""

    card: ClassVar[Card] = Card(
        title="Markdown",
        summary="A short summary for a pull-request comment or a job summary.",
        paper="GitHub Flavored Markdown 0.29",
        suffixes=(".md",),
    )

    def render(self, report: Report) -> bytes:
        """Write the comment, at most 60,000 bytes: what does not fit is counted, not cut in the middle."""
        parts = [_verdict(report), _requirements(report), _steps(report), _findings(report), _gaps(report)]
        end = _repeat(report)
        note = "\n\n_The rest did not fit into a comment: see report.html._"
        kept: list[str] = []
        room = LIMIT - len(end.encode()) - len(note.encode()) - 4
        for part in filter(None, parts):
            size = len(part.encode()) + 2
            if size > room:
                kept.append(note.strip())
                break
            kept.append(part)
            room -= size
        return ("\n\n".join([*kept, end]) + "\n").encode()


def _verdict(report: Report) -> str:
    status = report.verdict().status
    return f"### {SIGNS[status]} {wording.STATUSES[status]}\n\n{markdown(reading.sentence(report))}"


def _requirements(report: Report) -> str:
    lines = ["| | requirement | measured | n |", "|---|---|---|---:|"]
    lines += [_line(row, f"{SIGNS[row.status]} {row.status}") for row in reading.rows(report)[:60]]
    lines += [_line(row, "no bound set") for row in reading.beside(report)[:20]]
    return "\n".join(lines)


def _line(row: Row, status: str) -> str:
    measurement = row.judgement.measurement
    name = markdown(clipped(row.label, 120))
    if measurement is None:
        return f"| {status} | {name} | {markdown(clipped(row.reason, 240))} | |"
    doubt = wording.trust(measurement)
    figure = f"**{wording.value(measurement)}** {markdown(wording.interval(measurement))}"
    return f"| {status} | {name} | {figure}{f' ⚠ {doubt}' if doubt else ''} | {measurement.n:,} |"


def _steps(report: Report) -> str:
    found = advice.steps(report)[:STEPS]
    if not found:
        return ""
    lines = [f"{n}. {markdown(clipped(step.title, 200))} ({markdown(step.weight)})" for n, step in enumerate(found, 1)]
    return "**What to do**\n\n" + "\n".join(lines)


def _findings(report: Report) -> str:
    everything = [finding for group in reading.groups(report) for finding in group.findings]
    if not everything:
        return ""
    lines = list(_lines(everything[:FINDINGS]))
    if len(everything) > FINDINGS:
        lines.append(f"- … and {len(everything) - FINDINGS} more in report.html")
    head = f"<summary>Findings: {reading.tally(everything)}</summary>"
    return "\n".join(["<details>", head, "", *lines, "", "</details>"])


def _lines(findings: list[Finding]) -> Iterator[str]:
    for finding in findings:
        place = code(clipped(str(finding.location), 160))
        message = markdown(clipped(finding.message, 400))
        fix = f" — {markdown(clipped(finding.fix, 240))}" if finding.fix else ""
        yield f"- **{finding.severity}** {place} {message}{fix} ({code(clipped(finding.rule, 80))})"


def _gaps(report: Report) -> str:
    items = [item for _, members in reading.gaps(report) for item in members]
    head = f"<summary>What was not tested: {len(items)}</summary>"
    lines = [f"- {code(clipped(item.subject, 120))}: {markdown(clipped(item.reason, 240))}" for item in items[:GAPS]]
    if len(items) > GAPS:
        lines.append(f"- … and {len(items) - GAPS} more in report.html")
    return "\n".join(["<details>", head, "", *lines, "", "</details>"]) if items else "Nothing was left untested."


def _repeat(report: Report) -> str:
    facts = f"seed {report.seed}, hauberk {report.version}, {wording.moment(report.finished)}"
    return f"<sub>{code(clipped(report.command, 300))} · {markdown(facts)}</sub>"
