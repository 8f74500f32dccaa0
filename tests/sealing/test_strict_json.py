"""JSON that a stranger wrote: refused quickly, whatever it is."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from hauberk.sealing.faults import Malformed, shown
from hauberk.sealing.strict_json import parse, unbase64
from hauberk.sealing.tree import is_proper

HOSTILE = {
    "nothing": b"",
    "deep lists": b"[" * 100_000,
    "deep and closed": b"[" * 5000 + b"]" * 5000,
    "deep objects": b'{"a":' * 10_000,
    "brackets in text, then deep": b'{"a":"[[[[]]]]","b":' + b"[" * 80 + b"]" * 80 + b"}",
    "a name twice": b'{"a":1,"b":2,"a":3}',
    "a name twice, further in": b'{"x":[{"a":1,"a":1}]}',
    "a name twice by escape": b'{"a":1,"\\u0061":2}',
    "no number": b'{"a":NaN}',
    "infinite": b'{"a":-Infinity}',
    "not UTF-8": b'{"a":"\xff"}',
    "half a character": b'{"a":"\\ud800"}',
    "two texts": b"{}{}",
    "an open text": b'{"a":"',
    "quotes that never close": b'["' + b'\\"' * 500_000,
    "a lone backslash": b"[" * 70 + b'"\\',
    "only brackets": b"[" + b"[]," * 3_000_000 + b"[]]",
    "only commas": b"[" + b"1," * 3_000_000 + b"1]",
    "many names, one twice": b"{" + b",".join(b'"name%09d":1' % (index % 99_999) for index in range(100_000)) + b"}",
    "a long number": b'{"a":' + b"9" * 100_000 + b"}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_in_a_moment_and_little_memory(name: str) -> None:
    tracemalloc.start()
    start = time.monotonic()
    try:
        with pytest.raises(Malformed):
            parse(HOSTILE[name])
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
    assert time.monotonic() - start < 5


def test_what_is_well_formed_is_read() -> None:
    assert parse(b'{"a":[1,{"b":"[\\"{"}],"c":"\\ud83d\\ude00"}') == {"a": [1, {"b": '["{'}], "c": "\U0001f600"}


@pytest.mark.parametrize("text", ["a", "YQ", "YQ==\n", "Y Q==", "é", "YQ==YQ=="])
def test_base64_is_the_one_spelling(text: str) -> None:
    with pytest.raises(Malformed):
        unbase64(text)


@pytest.mark.parametrize("name", ["", "/a", "a//b", "../a", "a/..", "a/./b", "a/", "a\0b", "./a"])
def test_names_that_are_no_plain_path(name: str) -> None:
    assert not is_proper(name)


@pytest.mark.parametrize("name", ["a", "a/b", ".", "...", "a b", "..a/b", "\u202e"])
def test_names_that_are(name: str) -> None:
    assert is_proper(name)


def test_names_are_shown_bare() -> None:
    assert shown("a\u202eb\n\x1b") == "a\\u202eb\\n\\x1b"
    assert shown("é ü") == "é ü"
    assert len(shown("x" * 5000)) == 300
