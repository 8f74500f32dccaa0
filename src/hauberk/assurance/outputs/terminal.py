"""The report on a terminal: the verdict first, then requirements, findings, what was not tested, how to repeat it."""

from __future__ import annotations

from typing import ClassVar

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from hauberk.assurance import reading, wording
from hauberk.assurance.marks import SEVERITY_COLOURS, Marks, heading, marks_of, printed, table
from hauberk.assurance.reading import Row
from hauberk.core.card import Card
from hauberk.core.evidence import Finding
from hauberk.core.report import Report

NARROW = 64
"""Columns under which the table becomes a list."""
FINDINGS, GAPS = 12, 8
"""Findings and gaps a screen shows; the written reports have them all."""


class Terminal:
    """Print the report; `show` prints it to a console with colour, `render` gives plain text."""

    card: ClassVar[Card] = Card(
        title="Terminal",
        summary="The verdict in one line and its reasons on one screen; plain text where colour is not wanted.",
        paper="no-color.org",
        suffixes=(".txt",),
    )

    def render(self, report: Report) -> bytes:
        """Print the report as plain text, 100 columns wide; our own marks are ASCII, names keep their letters."""
        return printed(lambda console: show(report, console))


def show(report: Report, console: Console) -> None:
    """Print a report to a console of any width."""
    marks = marks_of(console)
    _verdict(report, console, marks)
    _requirements(report, console, marks)
    _checks(report, console, marks)
    _findings(report, console, marks)
    _gaps(report, console, marks)
    _repeat(report, console, marks)


def _verdict(report: Report, console: Console, marks: Marks) -> None:
    line = Text.assemble(marks.status(report.verdict().status, upper=True), "  ", marks.text(reading.sentence(report)))
    console.print(line)


def _requirements(report: Report, console: Console, marks: Marks) -> None:
    if console.width < NARROW:
        _stacked(report, console, marks)
        return
    wide = console.width >= 84
    columns = ("requirement", "measured", *(("",) if wide else ()), "n", "status")
    made = table(*columns, right=("n",))
    for row in reading.rows(report):
        made.add_row(*_cells(row, marks, wide=wide), marks.status(row.status))
    for row in reading.beside(report):
        made.add_row(*_cells(row, marks, wide=wide), Text("no bound set", style="dim"))
    console.print()
    console.print(made)


def _stacked(report: Report, console: Console, marks: Marks) -> None:
    console.print()
    for row in reading.rows(report):
        console.print(Text.assemble(marks.status(row.status), "  ", marks.text(row.label, limit=90)))
        console.print(Padding(marks.text(row.reason, "dim", limit=120), (0, 0, 0, 2)))
    for row in reading.beside(report):
        measurement = row.judgement.measurement
        if measurement is not None:
            figure = marks.text(f"  {wording.value(measurement)} {wording.interval(measurement)}", "dim")
            console.print(marks.text(row.label) + figure)


def _cells(row: Row, marks: Marks, *, wide: bool) -> tuple[Text, ...]:
    measurement = row.judgement.measurement
    name = marks.text(row.label, limit=90)
    if measurement is None:
        short = row.reason.partition(":")[0].partition(" (")[0].replace("no such measurement was made", "none was made")
        return (name, marks.text(short, limit=20), *((Text(""),) if wide else ()), Text(""))
    figure = marks.text(wording.value(measurement), "bold") + marks.text(f" {wording.interval(measurement)}")
    return (name, figure, *((marks.bar(row.bar),) if wide else ()), marks.text(f"{measurement.n:,}"))


def _checks(report: Report, console: Console, marks: Marks) -> None:
    """Say beside the figures which of them not to trust."""
    lines = [
        marks.text(f"{wording.what(check.measurement)}: {check.indicator.name} – {check.indicator.detail}", limit=300)
        for check in reading.checks(report)
        if check.indicator.passed is False
    ]
    bare = [row for row in report.measurements if row.role == "headline" and wording.trust(row).startswith("unchecked")]
    lines.extend(marks.text(f"{wording.what(row)}: {wording.trust(row)}") for row in bare)
    if lines:
        heading(console, "Do not quote without saying so")
        for line in lines:
            console.print(Padding(Text("! ", style="bold yellow") + line, (0, 0, 0, 2)))


def _findings(report: Report, console: Console, marks: Marks) -> None:
    groups = reading.groups(report)
    accepted = reading.lived_with(report)
    if not groups and not accepted:
        return
    everything = [finding for group in groups for finding in group.findings]
    heading(console, f"Findings: {reading.tally(everything)}")
    for finding in everything[:FINDINGS]:
        _finding(finding, console, marks)
    if len(everything) > FINDINGS:
        console.print(marks.text(f"  … and {len(everything) - FINDINGS} more in report.html", "dim"))
    if accepted:
        console.print(marks.text(f"  {wording.count(len(accepted), 'finding')} accepted by the policy", "dim"))


def _finding(finding: Finding, console: Console, marks: Marks) -> None:
    head = Text.assemble(
        marks.text(f"{finding.severity:<8} ", SEVERITY_COLOURS[finding.severity]),
        marks.text(str(finding.location), "bold", limit=200),
        marks.text(f"  {finding.rule}", "dim"),
    )
    console.print(Padding(head, (0, 0, 0, 2)))
    console.print(Padding(marks.text(finding.message), (0, 0, 0, 11)))
    if finding.fix:
        console.print(Padding(marks.text(f"→ {finding.fix}"), (0, 0, 0, 11)))


def _gaps(report: Report, console: Console, marks: Marks) -> None:
    heading(console, "What was not tested")
    items = [item for _, members in reading.gaps(report) for item in members]
    for item in items[:GAPS]:
        console.print(
            Padding(marks.text(item.subject, limit=200) + marks.text(f": {item.reason}", "dim"), (0, 0, 0, 2))
        )
    if len(items) > GAPS:
        console.print(marks.text(f"  … and {len(items) - GAPS} more in report.html", "dim"))
    if not items:
        console.print(marks.text("  nothing was left out of what the policy asks for"))


def _repeat(report: Report, console: Console, marks: Marks) -> None:
    heading(console, "To repeat it")
    console.print(Padding(marks.text(report.command), (0, 0, 0, 2)))
    seconds = (report.finished - report.started).total_seconds()
    facts = [f"seed {report.seed}", f"hauberk {report.version}", f"run {report.run}"]
    facts += [wording.moment(report.finished), wording.duration(seconds)]
    console.print(Padding(marks.text(" · ".join(facts), "dim"), (0, 0, 0, 2)))
    if report.root:
        console.print(Padding(marks.text(f"log root {report.root}", "dim"), (0, 0, 0, 2)))
