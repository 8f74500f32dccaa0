"""Rows added, changed, removed, moved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.sealing.difference import difference, ranges


def rows(text: str) -> np.ndarray:
    return np.array([mark.encode() * 16 for mark in text], "S16")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("abc", "abc", "the same rows"),
        ("abc", "abcd", "added row 3"),
        ("abc", "xabc", "added row 0"),
        ("abc", "ac", "removed row 1"),
        ("abc", "aXc", "changed row 1"),
        ("", "ab", "added rows 0-1"),
        ("ab", "", "removed rows 0-1"),
        ("abcdef", "abXdeYf", "changed row 2; added row 5"),
        ("abcdef", "fabcde", "1 rows moved"),
        ("aab", "aaab", "added row 2"),
        ("abcdefgh", "abXXefgh", "changed rows 2-3"),
        ("abc", "xyz", "changed rows 0-2"),
    ],
)
def test_words(old, new, words):
    assert difference(rows(old), rows(new)).words() == words


@given(st.text("abcdefghij", max_size=30), st.text("abcdefghij", max_size=30))
def test_what_is_said_turns_the_old_rows_into_the_new_ones(old, new):
    found = difference(rows(old), rows(new))
    gone = sorted([old[i] for i in found.removed] + [old[i] for i, _ in found.changed])
    come = sorted([new[i] for i in found.added] + [new[j] for _, j in found.changed])
    assert len(new) - len(old) == len(found.added) - len(found.removed)
    rest = list(old)
    for mark in gone:
        rest.remove(mark)
    assert sorted([*rest, *come]) == sorted(new)
    assert bool(found) == (old != new)
    assert not set(gone) & set(come)


def test_many_places_are_worded_as_ranges():
    assert ranges([3]) == "row 3"
    assert ranges([1, 2, 3, 7]) == "rows 1-3, 7"
    assert ranges(list(range(0, 100, 2))) == "rows 0, 2, 4, 6, 8, 10, 12, 14, 16, 18 and 40 more"
