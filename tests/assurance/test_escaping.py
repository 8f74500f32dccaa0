"""Whatever others wrote, each place shows it and none obeys it."""

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from hauberk.assurance.escaping import clipped, code, markdown, plain, uri

FORBIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.text())
def test_plain_leaves_nothing_invisible(text):
    shown = plain(text)
    assert not [char for char in shown if unicodedata.category(char) in FORBIDDEN]
    assert "\n" not in shown
    assert plain(shown) == shown


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_leaves_plain_text_alone(text):
    assert plain(text) == text


def test_an_attack_is_shown_not_run():
    assert plain("\x1b[31m\u202egnp.exe\u200b\nnext") == "\\x1b[31m\\u202egnp.exe\\u200b next"


@given(st.text(min_size=1))
def test_a_code_span_cannot_be_left(text):
    span = code(text)
    fence = re.match(r"`+", span)[0]
    inner = span[len(fence) : -len(fence)]
    assert span.endswith(fence)
    assert len(fence) not in [len(run) for run in re.findall(r"`+", inner)]
    assert not re.search(r"(?<!\\)\|", span)


@given(st.text())
def test_markdown_leaves_no_live_punctuation(text):
    shown = markdown(text).replace("&#8203;", "")
    assert not re.search(r"(?<!\\)[<>\[\]()*_`|!#@]", re.sub(r"\\\\", "", shown))


def test_nobody_is_mentioned():
    assert "@everyone" not in markdown("@everyone")
    assert "#1" not in markdown("#1")


@given(st.text(max_size=40))
def test_a_uri_stays_below_the_project(path):
    written = uri(path)
    assert re.fullmatch(r"[A-Za-z0-9._~%/-]+", written)
    assert not written.startswith("/")
    assert ".." not in written.split("/")


def test_uris_of_ordinary_paths():
    assert uri("src/a b/ü.py") == "src/a%20b/%C3%BC.py"
    assert uri("http://x/y") == "http%3A/x/y"


def test_clipped():
    assert clipped("abcdef", 4) == "abc…"
    assert clipped("abcd", 4) == "abcd"
