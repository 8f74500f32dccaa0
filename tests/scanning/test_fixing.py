"""Edits of a text: applied together, apart, or not at all."""

from __future__ import annotations

from hauberk.scanning.artifact import Edit
from hauberk.scanning.fixing import fixed


def test_edits_that_overlap_or_break_the_program_are_refused():
    one, two = Edit(1, 1, 1, 4, "abc"), Edit(1, 3, 1, 5, "xy")
    assert fixed("foo = 1", [one, two]).text == "abc = 1"
    assert fixed("foo = 1", [one, two]).refused == 1
    broken = fixed("foo = 1", [Edit(1, 1, 1, 4, "(")])
    assert (broken.text, broken.diff, broken.applied) == ("foo = 1", "", 0)
    assert fixed("foo = 1", [Edit(9, 1, 9, 2, "x")]).text == "foo = 1"
    assert fixed("foo = 1", []).applied == 0
