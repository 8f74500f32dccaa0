"""A difference of two reports to read: on a terminal, in a pull request, as a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from hauberk.assurance import wording
from hauberk.assurance.difference import Change, Difference, Judged
from hauberk.assurance.escaping import clipped, code, markdown
from hauberk.assurance.marks import SEVERITY_COLOURS, Marks, heading, marks_of, printed, table
from hauberk.assurance.pages import page
from hauberk.core.encoding import canonical
from hauberk.core.errors import UnknownName, nearest
from hauberk.core.evidence import Finding

FINDINGS, CHANGES = 20, 60
NEVER = "not asked"
"""The status of a requirement that the policy of that side did not have."""
COLOURS: dict[Judged, str] = {"better": "bold green", "worse": "bold red", "changed": "bold yellow"}
TONES: dict[Judged, str] = {"better": "met", "worse": "not met", "not comparable": "undecided", "changed": "undecided"}


def render(difference: Difference, form: str) -> bytes:
    """Render as "terminal" (plain text), "markdown", "html" or "json"; raises UnknownName."""
    forms: dict[str, Callable[[Difference], bytes]] = {
        "terminal": terminal,
        "markdown": comment,
        "html": html,
        "json": lambda found: canonical(found) + b"\n",
    }
    if form not in forms:
        raise UnknownName(f'a difference cannot be written as "{form}"', fix=nearest(form, forms))
    return forms[form](difference)


def terminal(difference: Difference) -> bytes:
    """Print the difference as plain text."""
    return printed(lambda console: show(difference, console))


def figures(change: Change) -> tuple[str, str, str]:
    """Word a change: before, after, difference; a difference of shares is in percentage points."""
    before = f"{wording.value(change.before)} {wording.interval(change.before)}" if change.before else "–"
    after = f"{wording.value(change.after)} {wording.interval(change.after)}" if change.after else "–"
    if change.before is None or change.after is None or change.low is None or change.high is None:
        return before, after, ""
    scale, digits, unit = (100, 1, " pp") if wording.is_share(change.row) else (1, 3, "")
    value, low, high = (
        scale * number for number in (change.after.value - change.before.value, change.low, change.high)
    )
    return before, after, f"{value:+.{digits}f}{unit} [{low:+.{digits}f}, {high:+.{digits}f}]"


def where(change: Change) -> str:
    """Word which quantity it is, and for a point of a curve where it lies."""
    row = change.row
    if row.role == "headline":
        return wording.what(row)
    place = f"{row.at:,.4g} {row.along}" if row.at is not None else wording.ball(row.norm, row.radius)
    return f"{wording.what(row)} at {place}"


def show(difference: Difference, console: Console) -> None:
    """Print the difference to a console of any width: warnings, requirements, figures, findings."""
    marks = marks_of(console)
    before, after = difference.before, difference.after
    arrow = marks.text(" → ")
    console.print(
        Text.assemble(
            marks.status(before.status), arrow, marks.status(after.status), "  ", marks.text(difference.summary)
        )
    )
    console.print(marks.text(f"{before.run} → {after.run}", "dim"))
    for warning in difference.warnings:
        console.print(Padding(Text("! ", style="bold yellow") + marks.text(warning), (0, 0, 0, 2)))
    if difference.flips:
        heading(console, "Requirements that changed")
        for flip in difference.flips:
            old = marks.status(flip.before) if flip.before else marks.text(NEVER)
            now = marks.status(flip.after) if flip.after else marks.text(NEVER)
            console.print(Padding(Text.assemble(marks.text(flip.requirement), "  ", old, arrow, now), (0, 0, 0, 2)))
    if difference.changes:
        console.print()
        console.print(_table(difference, marks))
        if difference.points:
            console.print(marks.text(f"points of curves: {difference.points}", "dim"))
    _listed("New findings", difference.new, console, marks)
    _listed("Fixed findings", difference.fixed, console, marks)


def _table(difference: Difference, marks: Marks) -> object:
    made = table("figure", "before", "after", "difference", "judged", right=("before", "after"))
    for change in difference.headlines[:CHANGES]:
        before, after, gap = figures(change)
        before, after = before.partition(" [")[0], after.partition(" [")[0]  # the interval that counts is the third
        judged = marks.text(change.judged, COLOURS.get(change.judged, ""))
        if change.caveats:
            judged += marks.text(f" ({'; '.join(change.caveats)})", "dim", limit=120)
        made.add_row(
            marks.text(where(change), limit=90), marks.text(before), marks.text(after), marks.text(gap), judged
        )
    if len(difference.headlines) > CHANGES:
        made.add_row(marks.text(f"… and {len(difference.headlines) - CHANGES} more"))
    return made


def _listed(title: str, findings: tuple[Finding, ...], console: Console, marks: Marks) -> None:
    if not findings:
        return
    heading(console, f"{title}: {len(findings)}")
    for finding in findings[:FINDINGS]:
        line = marks.text(f"{finding.severity:<8} ", SEVERITY_COLOURS[finding.severity])
        line += marks.text(str(finding.location), "bold", limit=200) + marks.text(f"  {finding.message}", limit=300)
        console.print(Padding(line, (0, 0, 0, 2)))
    if len(findings) > FINDINGS:
        console.print(marks.text(f"  … and {len(findings) - FINDINGS} more", "dim"))


def comment(difference: Difference) -> bytes:
    """Write the difference as Markdown for a pull-request comment."""
    before, after = difference.before, difference.after
    lines = [
        f"### {wording.STATUSES[before.status]} → {wording.STATUSES[after.status]}",
        "",
        markdown(difference.summary),
    ]
    lines += ["", *(f"> ⚠ {markdown(clipped(warning, 400))}  " for warning in difference.warnings)]
    if difference.flips:
        lines += ["", "| requirement | before | after |", "|---|---|---|"]
        lines += [
            f"| {markdown(clipped(flip.requirement, 160))} | {flip.before or NEVER} | {flip.after or NEVER} |"
            for flip in difference.flips[:40]
        ]
    if difference.changes:
        lines += ["", "| figure | before | after | difference | judged |", "|---|---|---|---|---|"]
        lines += list(_rows(difference))
        lines += ["", f"Points of curves: {difference.points}"] if difference.points else []
    for title, findings in (("New findings", difference.new), ("Fixed findings", difference.fixed)):
        if findings:
            lines += ["", f"**{title}: {len(findings)}**", ""]
            lines += [_bullet(finding) for finding in findings[:FINDINGS]]
            lines += [f"- … and {len(findings) - FINDINGS} more"] if len(findings) > FINDINGS else []
    return ("\n".join(lines) + "\n").encode()


def _bullet(finding: Finding) -> str:
    place = code(clipped(str(finding.location), 160))
    return f"- **{finding.severity}** {place} {markdown(clipped(finding.message, 300))}"


def _rows(difference: Difference) -> Iterator[str]:
    for change in difference.headlines[:CHANGES]:
        words = (where(change), *figures(change))
        caveats = f" ({'; '.join(change.caveats)})" if change.caveats else ""
        judged = f"**{change.judged}**" if change.judged in COLOURS else change.judged
        cells = " | ".join(markdown(clipped(word, 120)) for word in words)
        yield f"| {cells} | {judged}{markdown(clipped(caveats, 200))} |"


def html(difference: Difference) -> bytes:
    """Write the difference as one HTML file."""
    return page("difference.html.jinja", difference=difference, figures=figures, where=where, tones=TONES, limit=500)
