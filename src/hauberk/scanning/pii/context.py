"""The words before a number: in its line or value, up to the number before that."""

from __future__ import annotations

import re

import numpy as np

from hauberk.scanning.pii.groups import DIGIT, HIGH, OTHER, Ints, Text

BEFORE = 56
"""Bytes before a number in which its word stands."""
_NUMBER = re.compile(r"\S*\d{3}\S*")
_LIST = re.compile(r"[\s,;/|&]*(?:and|or|und|oder|et|ou|y|e|o)?\s*")
"""What stands between the numbers of a list: the word before the first is for all."""
_MARKS = re.compile(r"[\W_]+")


def plain(text: str) -> str:
    """Lower the letters and put one blank for everything else, at the ends too."""
    return _MARKS.sub(" ", f" {text.lower()} ")


def nearby(text: Text, starts: Ints) -> list[str]:
    """Read what stands before each place, plain.

    Most are ASCII without an earlier number: these are made plain all at once, the others one by one.
    """
    if not len(starts):
        return []
    places, again = np.unique(starts, return_inverse=True)
    window, kinds = text.windows(places - BEFORE, BEFORE), text.kinds(places - BEFORE, BEFORE)
    broken = (window == 0) | (window == ord("\n"))
    last = np.where(broken.any(1), BEFORE - broken[:, ::-1].argmax(1), 0)
    inside = np.arange(BEFORE) >= last[:, None]
    numeral = (kinds == DIGIT) & inside
    slow = (numeral[:, :-2] & numeral[:, 1:-1] & numeral[:, 2:]).any(1) | ((kinds == HIGH) & inside).any(1)
    lowered = np.where((window >= ord("A")) & (window <= ord("Z")), window + 32, window)
    lowered = np.where(inside & (kinds != OTHER), lowered, ord(" ")).astype(np.uint8)
    whole = lowered.tobytes().decode("latin-1")
    found = [f" {whole[row * BEFORE : (row + 1) * BEFORE]} " for row in range(len(places))]
    for row in np.flatnonzero(slow).tolist():
        found[row] = _one(window[row].tobytes())
    return [found[row] for row in again.tolist()]


def _one(raw: bytes) -> str:
    """Cut one window at the number before, unless the two are of one list."""
    near = raw.replace(b"\0", b"\n").rpartition(b"\n")[2].decode("utf-8", "ignore")
    for last in reversed(list(_NUMBER.finditer(near))):
        if not _LIST.fullmatch(near, last.end()):
            near = near[last.end() :]
            break
        near = near[: last.start()]
    return plain(near)
