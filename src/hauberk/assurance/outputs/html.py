"""The report as one HTML file: verdict, what to do, evidence, what was not tested, how to repeat it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec

from hauberk.assurance import advice, charts, gallery, glossary, reading
from hauberk.assurance.pages import page
from hauberk.core.card import Card
from hauberk.core.evidence import Exhibit, Measurement, Setting
from hauberk.core.report import Report

FINDINGS = 1000
"""Findings one page shows; a browser should open it, and report.json has them all."""
FAMILIES = ("privacy.", "extraction.", "poisoning.")
"""Beginnings of the recipes whose figures stand in a section of their own."""


class Html:
    """Write a single file that opens anywhere: no script, no font, no picture from elsewhere; prints well."""

    card: ClassVar[Card] = Card(
        title="HTML",
        summary="The report people read: one file, light and dark, with charts and examples.",
        paper="HTML Living Standard; WCAG 2.2 AA",
        suffixes=(".html",),
    )

    def render(self, report: Report) -> bytes:
        """Fill the page; equal reports give equal bytes."""
        robustness = [row for row in report.measurements if not _is_family(row)]
        others = charts.other_series(report)
        families = [row for row in report.measurements if _is_family(row)]
        return page(
            "report.html.jinja",
            report=report,
            verdict=report.verdict(),
            sentence=reading.sentence(report),
            deciding=reading.deciding(report),
            steps=advice.steps(report),
            rows=reading.rows(report),
            beside=reading.beside(report),
            radius_charts=_drawn(charts.radius_series(report)),
            other_charts=_drawn(series for series in others if _is_family(series.points[0].row)),
            slice_charts=_drawn(series for series in others if not _is_family(series.points[0].row)),
            stages=_placed(row for row in report.measurements if row.role == "stage"),
            checks=reading.checks(report),
            troubled=[check for check in reading.checks(report) if check.indicator.passed is not True],
            checked=[row for row in report.measurements if row.role == "headline" and row.indicators],
            controls=_placed(row for row in robustness if row.role == "control"),
            diagnostics=[row for row in report.measurements if row.role == "diagnostic"],
            everything=report.measurements,
            family_rows=_placed(_beside(families)),
            groups=_capped(reading.groups(report)),
            fails=frozenset(reading.fails(report)),
            tally=reading.tally([f for group in reading.groups(report) for f in group.findings]),
            left_out=max(0, sum(len(group.findings) for group in reading.groups(report)) - FINDINGS),
            accepted=reading.lived_with(report)[:FINDINGS],
            gallery=gallery.gallery(report),
            caption=gallery.caption,
            gaps=reading.gaps(report),
            methods=methods(report),
            seconds=(report.finished - report.started).total_seconds(),
            terms=glossary.terms(report),
        )


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """A curve, and its drawing where it could be drawn."""

    series: charts.Series
    svg: str | None


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe that produced evidence, with its settings and seeds, and how much it produced."""

    recipe: str
    settings: tuple[Setting, ...]
    seed: int | None
    pieces: int


def _is_family(row: Measurement) -> bool:
    return row.provenance.recipe.startswith(FAMILIES)


def _drawn(found: Iterable[charts.Series]) -> tuple[Drawn, ...]:
    return tuple(Drawn(series=series, svg=charts.draw(series)) for series in found)


def _beside(rows: Sequence[Measurement]) -> list[Measurement]:
    """Put the controls of each threat after its headlines."""
    threats = {row.threat: index for index, row in reversed(list(enumerate(rows)))}
    kept = [row for row in rows if row.role in ("headline", "control")]
    return sorted(kept, key=lambda row: (threats[row.threat], row.role == "control"))


def _placed(rows: Iterable[Measurement]) -> list[tuple[Measurement, reading.Bar | None]]:
    return [(row, reading.scale(row, None)) for row in rows]


def _capped(groups: tuple[reading.Group, ...]) -> tuple[reading.Group, ...]:
    """Keep the first FINDINGS, worst first."""
    kept, room = [], FINDINGS
    for group in groups:
        if room <= 0:
            break
        kept.append(reading.Group(severity=group.severity, findings=group.findings[:room]))
        room -= len(group.findings)
    return tuple(kept)


def methods(report: Report) -> tuple[Method, ...]:
    """List what produced the measurements and exhibits, each recipe with the settings it ran with."""
    together: dict[tuple[str, tuple[Setting, ...], int | None], int] = {}
    items: list[Measurement | Exhibit] = [*report.measurements, *report.exhibits]
    for made in (item.provenance for item in items):
        key = (made.recipe, made.settings, made.seed)
        together[key] = together.get(key, 0) + 1
    return tuple(
        Method(recipe=recipe, settings=settings, seed=seed, pieces=pieces)
        for (recipe, settings, seed), pieces in sorted(together.items(), key=lambda item: (item[0][0], str(item[0])))
    )
