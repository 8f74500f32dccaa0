"""Curves carry the report's numbers, and the drawing follows the page's colours."""

import builtins
import importlib
import re
from pathlib import Path
from xml.etree import ElementTree as xml

import msgspec
import pytest

from hauberk.assurance import charts
from hauberk.assurance.engine import render

pytest.importorskip("vl_convert", reason='charts need vl-convert-python: pip install "hauberk[report]"')


def test_one_series_a_threat_with_clean_accuracy_and_headline(full):
    pixels, strokes = charts.radius_series(full)
    assert [point.x for point in pixels.points] == [0.0, 0.02, 0.04, 0.06, 0.08, 0.1]
    assert pixels.points[0].row.name == "clean_accuracy"
    assert pixels.points[-1].row.role == "headline"
    assert (pixels.bound, strokes.bound) == (0.30, 0.50)
    assert "97.2 % at radius 0 to 12.4 % at radius 0.1" in pixels.summary


def test_other_series_run_along_what_they_say(full):
    privacy, theft = charts.other_series(full)
    assert privacy.guessing
    assert charts.spec(privacy)["layer"][0]["encoding"]["x"]["scale"]["type"] == "log"
    assert [point.x for point in theft.points] == [250, 500, 1000]


def test_the_spec_draws_value_and_interval(full):
    series = charts.radius_series(full)[0]
    values = charts.spec(series)["data"]["values"]
    assert [(v["x"], v["y"], v["low"], v["high"]) for v in values] == [
        (p.x, p.row.value, p.row.low, p.row.high) for p in series.points
    ]


def test_the_drawing_is_xml_with_known_colours_only(full):
    css = (Path(charts.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")
    for series in (*charts.radius_series(full), *charts.other_series(full)):
        svg = str(charts.draw(series))
        root = xml.fromstring(svg)
        assert root.get("role") == "img"
        assert root.get("aria-label") == series.summary
        used = set(re.findall(r'(?:fill|stroke)="(#[0-9a-fA-F]+|[a-z]+)"', svg)) - {"none", "transparent"}
        assert used <= {charts.INK, charts.RULE, charts.LINE, charts.BAND, charts.BOUND}
        assert 'id="' not in svg
    for colour in (charts.INK, charts.RULE, charts.LINE, charts.BAND, charts.BOUND):
        assert f'="{colour}"]' in css


def test_hostile_names_are_text(full):
    bad = '"></svg><script>alert(1)</script>'
    rows = [msgspec.structs.replace(row, along=bad, threat=bad) for row in full.measurements if row.along == "queries"]
    (series,) = charts.other_series(msgspec.structs.replace(full, evidence=tuple(rows)))
    svg = str(charts.draw(series))
    assert "<script" not in svg
    xml.fromstring(svg)


def test_without_the_extra_the_numbers_stand_in_a_table(full, monkeypatch):
    real = importlib.import_module

    def missing(name, *rest):
        if name == "vl_convert":
            raise ModuleNotFoundError(name=name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    page = render(full, "html").decode()
    assert '<svg xmlns="http://www.w3.org/2000/svg" class="chart"' not in page
    assert "hauberk[report]" in page
    assert "87.4 %" in page


def test_nothing_is_imported_where_there_is_no_curve(full, monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        assert name != "vl_convert"
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    render(msgspec.structs.replace(full, evidence=()), "html")
