"""One line of verdict, no colour alone, no escape of others, any width."""

import io

import msgspec
import pytest
from rich.console import Console

from hauberk.assurance.engine import render
from hauberk.assurance.outputs.terminal import show


def printed(report, width, terminal=True, environ=None):
    file = io.StringIO()
    colour = "truecolor" if terminal else None
    show(
        report,
        Console(file=file, width=width, force_terminal=terminal, _environ=environ or {}, color_system=colour),
    )
    return file.getvalue()


def test_the_verdict_comes_first(any_report):
    first = render(any_report, "terminal").decode().splitlines()[0]
    assert any_report.verdict().status.upper() in first


def test_plain_text_has_no_escape_and_only_names_leave_ascii(any_report):
    text = render(any_report, "terminal").decode()
    assert "\x1b" not in text
    assert set(text) - {chr(code) for code in range(32, 127)} <= {"\n", "ü"}


def test_others_escapes_are_shown(full):
    text = printed(full, 120)
    assert "\\x1b[31;1mred" in text
    assert "\x1b]0;title" not in text
    assert "\u202e" not in text
    assert "[bold]rich[/bold]" in text


def test_no_colour_is_respected(full):
    assert "\x1b[" in printed(full, 100)
    assert "\x1b[3" not in printed(full, 100, environ={"NO_COLOR": "1"})


@pytest.mark.parametrize("width", [30, 60, 84, 200])
def test_any_width(full, width):
    lines = printed(full, width, terminal=False).splitlines()
    assert max(map(len, lines)) <= width


def test_what_was_not_tested_and_how_to_repeat(full):
    text = render(full, "terminal").decode()
    for words in ("What was not tested", "data/raw.zip", "hauberk check examples/digits --seed 7", "log root 9f9f"):
        assert words in text


def test_failed_and_missing_checks_are_said(full):
    text = " ".join(render(full, "terminal").decode().split())
    assert "gradients may be masked" in text
    assert "Robust accuracy under queries: unchecked" in text


def test_many_findings_are_capped_and_counted(full):
    many = tuple(msgspec.structs.replace(full.findings[5], message=f"number {n}") for n in range(40))
    text = render(msgspec.structs.replace(full, evidence=many), "terminal").decode()
    assert "... and 28 more in report.html" in text
