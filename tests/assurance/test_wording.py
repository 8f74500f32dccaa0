"""Figures are worded once, and readably."""

import datetime as dt

import msgspec
import pytest

from hauberk.assurance import wording


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("robust_accuracy", "Robust accuracy"),
        ("membership_auc", "Membership AUC"),
        ("membership_tpr_at_1pct_fpr", "Membership TPR at 1 % FPR"),
        ("membership_tpr_at_0_1pct_fpr", "Membership TPR at 0.1 % FPR"),
        ("", ""),
    ],
)
def test_titles(name, words):
    assert wording.title(name) == words


@pytest.mark.parametrize(
    ("change", "value", "interval"),
    [
        ({"value": 0.1244, "low": 0.0979, "high": 0.156}, "12.4 %", "[9.8, 15.6]"),
        ({"unit": "area", "value": 0.5, "low": 0.45, "high": 0.55}, "0.500", "[0.450, 0.550]"),
        ({"unit": "files", "value": 8.0, "low": 8.0, "high": 8.0, "method": "exact"}, "8 files", "counted"),
        ({"unit": "files", "value": 0.0, "low": 0.0, "high": 0.0, "method": "exact"}, "0 files", "counted"),
        ({"unit": "queries", "value": 1234.5, "low": 1000.0, "high": 2000.0}, "1,234.5 queries", "[1,000.0, 2,000.0]"),
        ({"unit": "area", "method": "none", "value": 0.5}, "0.500", "no interval"),
    ],
)
def test_values(full, change, value, interval):
    row = msgspec.structs.replace(full.measurements[0], **change)
    assert (wording.value(row), wording.interval(row)) == (value, interval)


@pytest.mark.parametrize(
    ("size", "words"), [(8 / 255, "8/255"), (0.1, "0.1"), (0.5, "0.5"), (0.2, "0.2"), (12.0, "12")]
)
def test_radii(size, words):
    assert wording.radius(size) == words


def test_who_is_trusted(full):
    (clean, *_), (pixels, strokes, queries) = (
        [row for row in full.measurements if row.role == "headline" and row.name == name]
        for name in ("clean_accuracy", "robust_accuracy")
    )
    assert [wording.trust(row) for row in (clean, pixels, strokes, queries)] == [
        "",
        "",
        "upper bound, not trusted: 2 of 2 self-checks failed",
        "unchecked: no self-check was made",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("drop it", "Drop it"),
        ("torch.load runs", "torch.load runs"),
        ("weights_only is off", "weights_only is off"),
        ("re-train", "re-train"),
        ("`x`", "`x`"),
    ],
)
def test_sentences_begin_with_a_capital_unless_it_is_code(text, words):
    assert wording.opened(text) == words


def test_times():
    zone = dt.timezone(dt.timedelta(hours=2))
    assert wording.moment(dt.datetime(2026, 11, 23, 14, 0, tzinfo=zone)) == "2026-11-23 12:00 UTC"
    assert [wording.duration(seconds) for seconds in (4.24, 72, 7500)] == ["4.2 s", "1 min 12 s", "2 h 05 min"]
    assert wording.listing(["a", "b", "c"]) == "a, b and c"
