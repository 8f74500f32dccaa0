"""Comments that take findings out, and what is said of those that do not."""

from __future__ import annotations

import pytest

from hauberk.core.evidence import Finding, Location
from hauberk.core.provenance import Stamp
from hauberk.scanning.suppressions import UNUSED, WITHOUT_REASON, apply, suppressions


def finding(line: int, rule: str = "code.unsafe_load", end: int | None = None) -> Finding:
    return Finding(
        rule=rule,
        severity="high",
        confidence="high",
        location=Location(path="a.py", line=line, end_line=end),
        message="m",
        fix="f",
        provenance=Stamp().of(rule),
    )


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.py", "load(x)  # hauberk: ignore[code.unsafe_load] our own file, signed", 1),
        ("a.py", "load(x)  # hauberk: ignore[unsafe_load] our own file, signed", 1),
        ("a.py", "load(x)  # noqa: S301  # hauberk: ignore[code.*, general.S301] signed by CI", 1),
        ("a.py", "# hauberk: ignore[code.unsafe_load]: signed by CI\n\n# more\nload(x)", 4),
        ("Dockerfile", "# hauberk:ignore[unsafe_load] checked in CI\nRUN x", 2),
        ("a.yaml", "key: x # hauberk: ignore[unsafe_load] an example value", 1),
        ("a.md", "text <!-- hauberk: ignore[unsafe_load] an example value --> more", 1),
    ],
)
def test_a_reasoned_comment_takes_the_finding_out(name, text, line):
    result = apply([finding(line)], suppressions(text, name))
    assert result.kept == ()
    assert len(result.dropped) == 1
    assert result.notes == ()


def test_a_statement_over_several_lines_is_covered_from_any_of_them():
    text = "load(\n    x,  # hauberk: ignore[unsafe_load] signed by CI\n)"
    assert apply([finding(1, end=3)], suppressions(text, "a.py")).kept == ()


@pytest.mark.parametrize(
    "comment",
    [
        "# hauberk: ignore[unsafe_load]",
        "# hauberk: ignore[unsafe_load] !",
        "# hauberk: ignore",
        "# hauberk: ignore[] why",
    ],
)
def test_without_rule_or_reason_it_does_not_count_and_is_said(comment):
    result = apply([finding(1)], suppressions(f"load(x)  {comment}", "a.py"))
    assert len(result.kept) == 1
    assert [name for name, _ in result.notes] == [WITHOUT_REASON]


def test_another_rule_or_another_line_stays_and_the_comment_is_unused():
    text = "load(x)  # hauberk: ignore[code.remote_code] reviewed today\nload(y)"
    result = apply([finding(1), finding(2)], suppressions(text, "a.py"))
    assert len(result.kept) == 2
    assert [(name, note.place.line) for name, note in result.notes] == [(UNUSED, 1)]


def test_text_that_only_looks_like_a_comment_is_none():
    assert suppressions('x = "# hauberk: ignore[unsafe_load] not a comment"', "a.py") == ()
    assert suppressions("# hauberk: ignore[unsafe_load] a heading", "a.md") == ()


def test_python_that_is_no_python_is_read_by_line():
    assert len(suppressions("if (:\n  '''\nload(x)  # hauberk: ignore[unsafe_load] signed", "a.py")) == 1


def test_many_lines_take_little_time():
    text = "# hauberk: ignore[x] why not\n" * 50_000
    assert len(suppressions(text, "a.yaml")) == 10_000
