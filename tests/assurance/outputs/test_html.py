"""The page is one file that fetches nothing, runs nothing and shows foreign text as text."""

import re
from html.parser import HTMLParser

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hauberk.assurance import difference_pages
from hauberk.assurance.difference import compare
from hauberk.assurance.engine import render
from hauberk.assurance.pages import link, prose

VOID = {"meta", "link", "img", "br", "wbr", "input"}


class Page(HTMLParser):
    """Tags, attributes and text; fails on tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def pages(report):
    return [render(report, "html").decode(), difference_pages.html(compare(report, report)).decode()]


def test_well_formed_and_inert(any_report):
    for text in pages(any_report):
        for tag, attributes in Page(text).tags:
            assert tag not in {"script", "iframe", "object", "embed", "form", "base", "video", "audio"}
            assert not [name for name in attributes if name.startswith("on")]
            assert attributes.get("src", "data:").startswith("data:image/png;base64,") or tag != "img"
            if tag == "link":
                assert attributes == {"rel": "icon", "href": "data:,"}
            if tag == "a":
                assert re.match(
                    r"#|https://(cwe\.mitre|www\.cve|atlas\.mitre|github\.com/advisories)", attributes["href"]
                )


def test_a_strict_policy_before_anything_else(any_report):
    for text in pages(any_report):
        policies = [
            attributes["content"]
            for tag, attributes in Page(text).tags
            if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
        ]
        assert policies == [
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
        ]
        assert text.index("Content-Security-Policy") < text.index("<style>")


def test_ids_are_unique_and_targets_exist(any_report):
    for text in pages(any_report):
        tags = Page(text).tags
        ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        targets = {attributes["href"][1:] for _, attributes in tags if attributes.get("href", "").startswith("#")}
        assert targets <= set(ids)
        named = {attributes["aria-labelledby"] for _, attributes in tags if "aria-labelledby" in attributes}
        assert named <= set(ids)


def test_the_parts_stand_in_their_order(full):
    text = render(full, "html").decode()
    order = [
        "verdict",
        "todo",
        "requirements",
        "robustness",
        "trust",
        "families",
        "findings",
        "gallery",
        "gaps",
        "method",
    ]
    places = [text.index(f'id="{name}"') for name in order]
    assert places == sorted(places)


def test_everything_is_there(full):
    words = " ".join(Page(render(full, "html").decode()).words)
    for expected in (
        "Not met",
        "hauberk check examples/digits --seed 7",
        "sha256:" + "ab" * 32,
        "9f" * 32,
        "torch==2.13.0",
        "× 20",
        "weights of our own making",
        "upper bound, not trusted: 2 of 2 self-checks failed",
        "unchecked: no self-check was made",
        "data/raw.zip",
        "steps = 40",
        "Clopper–Pearson",
    ):
        assert expected in words, expected


def test_slices_of_the_loss_stand_with_the_self_checks(full):
    """They explain a figure, so they are not listed under privacy, theft and poisoning."""
    some = next(row for row in full.measurements if row.role == "headline" and row.indicators)
    rows = tuple(
        msgspec.structs.replace(
            some,
            name="margin_towards_attack",
            role="curve",
            along="share of the way",
            at=at,
            radius=None,
            indicators=(),
        )
        for at in (0.0, 1.0)
    )
    text = render(msgspec.structs.replace(full, evidence=full.evidence + rows), "html").decode()
    assert "slice of the loss landscape" not in render(full, "html").decode()
    assert "Margin towards attack" in text[text.index('id="trust"') : text.index('id="families"')]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(alphabet=st.one_of(st.sampled_from("<>\"'&`/!-\x1b\u202e{%}"), st.characters()), min_size=1))
def test_foreign_text_changes_no_tag(full, text):
    """Wherever foreign text goes, the page has the tags it has with harmless text of the same marks."""

    def page(words):
        finding = msgspec.structs.replace(
            full.findings[1], message=words, fix=words, trace=(words,), references=(words,)
        )
        row = msgspec.structs.replace(full.measurements[0], name=words, threat=words, note=words)
        gap = msgspec.structs.replace(full.skipped[0], subject=words, reason=words)
        report = msgspec.structs.replace(full, evidence=(finding, row, gap), project=words, command=words)
        return [tag for tag, _ in Page(render(report, "html").decode()).tags if tag not in ("code", "wbr")]

    assert page(text) == page("x")


@pytest.mark.parametrize(
    ("reference", "href"),
    [
        ("CWE-502", "https://cwe.mitre.org/data/definitions/502.html"),
        ("CVE-2025-1716", "https://www.cve.org/CVERecord?id=CVE-2025-1716"),
        ("AML.T0010", "https://atlas.mitre.org/techniques/AML.T0010"),
        ("OWASP-ML06", None),
        ('CWE-502" onclick="x', None),
        ("javascript:alert(1)", None),
    ],
)
def test_links(reference, href):
    (tag, *_) = Page(str(link(reference))).tags
    assert tag[1].get("href") == href


def test_prose_sets_code_and_escapes_it():
    assert prose("run `a <b>` & go") == "run <code>a &lt;b&gt;</code> &amp; go"
    assert prose("one ` tick") == "one ` tick"
