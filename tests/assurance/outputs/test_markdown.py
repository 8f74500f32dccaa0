"""A comment stays short, whole and harmless."""

import re

import msgspec
from markdown_it import MarkdownIt

from hauberk.assurance.engine import render
from hauberk.assurance.outputs.markdown import LIMIT


def rendered(report):
    text = render(report, "markdown").decode()
    return text, MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(text)


def test_the_verdict_comes_first(any_report):
    text, page = rendered(any_report)
    assert text.startswith("### ")
    assert page.startswith("<h3>")


def test_others_write_no_html_link_picture_or_mention(full):
    text, page = rendered(full)
    assert not re.search(r"<(script|img|a|b|i)\b", page)
    assert "@everyone" not in text.replace("@&#8203;", "")
    ours = "h3 p table thead tbody tr th td strong em ol ul li code details summary sub"
    assert set(re.findall(r"</?(\w+)", page)) <= set(ours.split())


def test_tables_keep_their_columns(full):
    _, page = rendered(full)
    assert all(row.count("<td") in (0, 4) for row in page.split("<tr>"))


def test_details_are_closed(any_report):
    text, _ = rendered(any_report)
    assert text.count("<details>") == text.count("</details>")


def test_a_huge_report_fits(full):
    huge = tuple(
        msgspec.structs.replace(full.findings[4], message=f"{n} " + "\U000e0041|<@" * 4000, rule=f"r{n}")
        for n in range(400)
    )
    many = tuple(
        msgspec.structs.replace(row, name=f"robust_{n}" + "_" * 500)
        for n in range(300)
        for row in full.measurements[:1]
    )
    for evidence in (huge, many, (*huge, *many, *full.skipped * 500)):
        data = render(msgspec.structs.replace(full, evidence=evidence, project="p|" * 5000), "markdown")
        assert len(data) <= LIMIT
        assert data.count(b"<details>") == data.count(b"</details>")
        assert b"seed 7" in data
