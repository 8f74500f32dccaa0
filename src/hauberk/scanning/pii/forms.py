"""Written forms of numbers, such as "999-99-9999", all looked up at once by a rolling hash over runs and separators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from hauberk.scanning.pii.groups import ADJACENT, SEPARATORS, Groups, Ints, Text

Hashes: TypeAlias = npt.NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_LOW = np.uint64(0xFFFF)
_LONGEST = 60
"""Runs longer than this are no number of any form."""


class Form(NamedTuple):
    """One way to write a number: 9 a digit, A a letter, anything else itself.

    places: where its digits and letters stand, from its first byte.
    """

    pattern: str
    places: tuple[int, ...]

    @classmethod
    def of(cls, pattern: str) -> Form:
        """Read a pattern."""
        return cls(pattern, tuple(i for i, mark in enumerate(pattern) if mark in "9A"))

    def runs(self) -> list[tuple[str, int]]:
        """Return its runs as (mark, length); separators have their own mark."""
        return [(mark, len(list(same))) for mark, same in groupby(self.pattern)]


class Met(NamedTuple):
    """Where one form stands in a text. starts: of each occurrence, in the padded text."""

    form: Form
    starts: Ints


class Lookup:
    """All forms of a set of kinds, by the hash of their runs."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._forms = [Form.of(pattern) for pattern in sorted(set(patterns))]
        hashes = np.array([_hash(form) for form in self._forms], np.uint64)
        self._order = np.argsort(hashes)
        self._hashes = hashes[self._order]
        self._known = np.zeros(1 << 16, np.bool_)
        self._known[hashes & _LOW] = True  # most places are told by it and need no search
        self._most = max((sum(mark in "9A" for mark, _ in form.runs()) for form in self._forms), default=0)

    def find(self, text: Text, found: Groups) -> Iterator[Met]:
        """Yield the forms that stand free in the text with their places; overlapping ones too."""
        if not self._forms or not len(found.starts):
            return
        rows, starts = self._matches(text, found)
        order = np.argsort(rows, kind="stable")
        rows, starts = rows[order], starts[order]
        cuts = np.flatnonzero(np.diff(rows)) + 1
        for part, row in zip(np.split(starts, cuts), rows[np.append(0, cuts)] if len(rows) else (), strict=False):
            yield Met(self._forms[int(row)], part)

    def _matches(self, text: Text, found: Groups) -> tuple[Ints, Ints]:
        """Grow chains of runs from every place where a number may begin, and look each length up."""
        codes = _codes(found.lengths, found.digits)
        here = np.flatnonzero(text.left_free(found.starts) & (found.lengths <= _LONGEST))
        hashes, last = codes[here], here.copy()
        free = text.right_free(found.ends)
        rows, starts = [], []
        for _ in range(self._most):
            likely = np.flatnonzero(self._known[hashes & _LOW] & free[last])
            place = np.searchsorted(self._hashes, hashes[likely])
            place[place == len(self._hashes)] = 0
            hit = self._hashes[place] == hashes[likely]
            rows.append(self._order[place[hit]])
            starts.append(found.starts[here[likely[hit]]])
            on = np.flatnonzero(found.after[last] > 0)
            if not len(on):
                break
            here, last, hashes = here[on], last[on], hashes[on]
            joined = found.after[last].astype(np.uint64)
            last = last + 1
            hashes = _grown(hashes, joined, codes[last])
        return np.concatenate(rows), np.concatenate(starts)


def _codes(lengths: Ints, digits: npt.NDArray[np.bool_]) -> Hashes:
    return (2 * np.minimum(lengths, _LONGEST + 1) + digits).astype(np.uint64)


def _grown(hashes: Hashes, joined: Hashes, codes: Hashes) -> Hashes:
    grown = ((hashes * _STEP + joined) ^ (hashes >> np.uint64(29))) * _STEP + codes
    return np.asarray(grown, dtype=np.uint64)


def _hash(form: Form) -> np.uint64:
    """Hash a form's runs as `find` hashes those of a text."""
    total: Hashes | None = None
    joined = ADJACENT
    for mark, length in form.runs():
        if mark not in "9A":
            joined = SEPARATORS[mark]
            continue
        code = _codes(np.array([length]), np.array([mark == "9"]))
        total = code if total is None else _grown(total, np.array([joined], np.uint64), code)
        joined = ADJACENT
    assert total is not None
    return np.uint64(total[0])


def characters(text: Text, met: Met) -> npt.NDArray[np.uint8]:
    """Gather the digits and letters of each occurrence, letters in upper case → (n, length) of bytes."""
    found = text.windows(met.starts, len(met.form.pattern))[:, met.form.places]
    return np.where(found >= ord("a"), found - 32, found).astype(np.uint8)
