"""Curves of a report as SVG by Vega-Lite, and the same numbers as rows for a table."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from typing import Protocol, TypeAlias, cast

import msgspec
from markupsafe import Markup

from hauberk.assurance import wording
from hauberk.assurance.escaping import clipped, plain
from hauberk.core.evidence import Measurement
from hauberk.core.report import Report

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

INK, RULE, LINE, BAND, BOUND = "#565c67", "#e3e0da", "#1f5fa9", "#1f5faa", "#b3261f"
"""Colours of the light page. The style sheet maps each to a variable, so that a chart follows light and dark."""
WIDTH, HEIGHT = 330, 200
_ROLES = re.compile(r' (?:role|aria-[a-z]+)="[^"]*"')
LOGARITHMIC = ("false positive rate",)


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One measured point. x: radius, queries …; where: x in words."""

    x: float
    where: str
    row: Measurement


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One curve of one quantity under one threat. bound: what the policy asks of the headline, and at which x."""

    title: str
    axis: str
    points: tuple[Point, ...]
    along: str = ""
    bound: float | None = None

    @property
    def guessing(self) -> bool:
        """Tell whether the dashed line of guessing, y = x, belongs into the drawing."""
        return self.along == "false positive rate"

    @property
    def summary(self) -> str:
        """The curve in words, for those who do not see it."""
        ends = [f"{wording.value(point.row)} at {point.where}" for point in (self.points[0], self.points[-1])]
        return f"{self.title}: from {' to '.join(ends)}, {len(self.points)} points with intervals"


def radius_series(report: Report) -> tuple[Series, ...]:
    """Return the curves that run along the radius, each with its headline, and clean accuracy at radius 0."""
    keys = dict.fromkeys(
        (row.name, row.subject, row.threat, row.norm)
        for row in report.measurements
        if row.role == "curve" and not row.along and row.radius is not None
    )
    return tuple(_radius(report, *key) for key in keys)


def _radius(report: Report, name: str, subject: str, threat: str, norm: str) -> Series:
    points: dict[float, Measurement] = {}
    for row in report.measurements:
        same = (row.name, row.subject, row.threat, row.norm) == (name, subject, threat, norm)
        if same and row.role in ("curve", "headline") and row.radius is not None:
            points.setdefault(row.radius, row)
        if name == "robust_accuracy" and row.name == "clean_accuracy" and row.subject == subject:
            points.setdefault(0.0, row)
    bounds = [
        r.min for r in report.policy.require if r.measurement == name and r.threat == threat and r.min is not None
    ]
    return Series(
        title=f"{wording.title(name)} under {threat}" if threat else wording.title(name),
        axis=f"radius, {wording.NORMS.get(norm, norm)}" if norm else "radius",
        points=tuple(Point(x=x, where=f"radius {wording.radius(x)}", row=points[x]) for x in sorted(points)),
        bound=bounds[0] if bounds else None,
    )


def other_series(report: Report) -> tuple[Series, ...]:
    """Return the curves that run along something else, such as queries or false positives."""
    together: dict[tuple[str, str, str, str], list[Measurement]] = {}
    for row in report.measurements:
        if row.role == "curve" and row.along and row.at is not None:
            together.setdefault((row.name, row.subject, row.threat, row.along), []).append(row)
    found = []
    for (name, _, threat, along), rows in together.items():
        points = [
            Point(x=row.at, where=f"{row.at:,.4g} {along}", row=row)
            for row in sorted(rows, key=lambda row: row.at or 0.0)
            if row.at is not None
        ]
        title = f"{wording.title(name)} under {threat}" if threat else wording.title(name)
        found.append(Series(title=title, axis=along, points=tuple(points), along=along))
    return tuple(found)


class _Drawing(Protocol):
    """The one function of vl_convert that is used here."""

    def vegalite_to_svg(self, vl_spec: dict[str, Json], *, allowed_base_urls: list[str]) -> str: ...


def draw(series: Series) -> Markup | None:
    """Draw a curve as SVG to put into a page; None where vl-convert-python (extra "report") is not installed.

    Its first call in a process takes about a second, the next ones about 50 ms.
    """
    try:
        drawing = cast(_Drawing, importlib.import_module("vl_convert"))
    except ModuleNotFoundError:
        return None
    return _embedded(drawing.vegalite_to_svg(spec(series), allowed_base_urls=[]), series)


def _embedded(svg: str, series: Series) -> Markup:
    """Make the drawing scale with the page, and speak with one voice: the summary instead of its hundred parts."""
    head, _, body = svg.partition(">")
    body = _ROLES.sub("", body)
    box = re.search(r'viewBox="([\d. -]+)"', head)
    opening = Markup('<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="{}" role="img" aria-label="{}">')
    return opening.format(box[1] if box else f"0 0 {WIDTH} {HEIGHT}", series.summary) + Markup(body)  # noqa: S704


def spec(series: Series) -> dict[str, Json]:
    """Describe a curve in Vega-Lite: interval band, line, points, and the policy's bound."""
    share = all(wording.is_share(point.row) for point in series.points)
    format_ = ".0%" if share else ".3~g"
    log = series.along in LOGARITHMIC and all(point.x > 0 for point in series.points)
    values: list[Json] = [
        {"x": point.x, "y": point.row.value, "low": point.row.low, "high": point.row.high} for point in series.points
    ]
    x: dict[str, Json] = {
        "field": "x",
        "type": "quantitative",
        "title": clipped(plain(series.axis), 40),
        "scale": {"type": "log", "nice": False} if log else {"nice": False, "zero": not series.along},
        "axis": {"grid": False, "tickCount": 4, "format": ",.4~r", "labelFlush": False, "labelOverlap": True},
    }
    y: dict[str, Json] = {
        "field": "y",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": _domain(series, share=share)},
        "axis": {"format": format_, "tickCount": 5, "domain": False, "ticks": False},
    }
    layers: list[Json] = [
        {
            "mark": {"type": "area", "color": BAND, "opacity": 0.18},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {"mark": {"type": "line", "color": LINE, "strokeWidth": 2}, "encoding": {"x": x, "y": y}},
        {
            "mark": {"type": "point", "color": LINE, "filled": True, "size": 38, "opacity": 1},
            "encoding": {"x": x, "y": y},
        },
    ]
    if series.bound is not None:
        layers.extend(_bound(series.bound, format_))
    if series.guessing:
        guess = {**y, "field": "x"}
        layers.append({"mark": {"type": "line", "color": INK, "strokeDash": [2, 3]}, "encoding": {"x": x, "y": guess}})
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "background": None,
        "data": {"values": values},
        "layer": layers,
        "config": _config(),
    }


def _domain(series: Series, *, share: bool) -> list[Json]:
    if share:
        return [0, 1]
    lows, highs = [p.row.low for p in series.points], [p.row.high for p in series.points]
    return [min(0.0, *lows), max(1.0, *highs)]


def _bound(bound: float, format_: str) -> Sequence[Json]:
    word = f"required ≥ {bound:.0%}" if format_ == ".0%" else f"required ≥ {bound:g}"
    data: Json = {"values": [{"y": bound}]}
    y: Json = {"field": "y", "type": "quantitative"}
    place: dict[str, Json] = {"type": "text", "color": BOUND, "align": "left", "baseline": "bottom", "fontSize": 11}
    place |= {"x": 0, "dx": 4, "dy": -3}  # at the left: there a curve of robust accuracy is far above its bound
    return (
        {"data": data, "mark": {"type": "rule", "color": BOUND, "strokeDash": [4, 3]}, "encoding": {"y": y}},
        {"data": data, "mark": {**place, "text": word}, "encoding": {"y": y}},
    )


def _config() -> dict[str, Json]:
    words: dict[str, Json] = {"labelColor": INK, "titleColor": INK, "labelFontSize": 11, "titleFontSize": 11.5}
    lines: dict[str, Json] = {"gridColor": RULE, "domainColor": RULE, "tickColor": RULE, "titleFontWeight": "normal"}
    return {
        "aria": False,
        "font": "system-ui, sans-serif",
        "view": {"stroke": None},
        "axis": {**words, **lines, "labelPadding": 6, "titlePadding": 8},
    }
