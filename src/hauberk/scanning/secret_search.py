"""Search texts for secrets; a hit never carries the secret itself, only its first characters and a fingerprint."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from hauberk.core.evidence import Confidence
from hauberk.scanning.artifact import NOWHERE, Artifact, Place
from hauberk.scanning.secret_kinds import PATTERNS, Pattern
from hauberk.scanning.secret_shapes import entropy, lowered, named_values, stands_in

SHOWN = 4
MOST = 200
"""Secrets reported of one text: a file with more is a list of them."""
_TRIES = 100_000
"""Places of one mark that are looked at: a text of nothing but marks ends too."""
_FARTHEST = 2000


class Hit(NamedTuple):
    """A secret that was found. shown: its first characters. checked: a checksum holds (None where there is none)."""

    name: str
    family: str
    start: int
    end: int
    line: int
    column: int
    shown: str
    checked: bool | None

    @property
    def confidence(self) -> Confidence:
        """How sure it is a secret: a checksum that fails speaks for an invented one, a name alone is no proof."""
        if self.checked is False:
            return "low"
        return "medium" if self.family == "named_value" else "high"


class Piece(NamedTuple):
    """A text of an artifact. where: in words, for texts without lines of their own."""

    text: str
    place: Place
    where: str
    code: bool = False


@lru_cache(maxsize=32)
def secrets_in(text: str, code: bool = False) -> tuple[Hit, ...]:
    """Find secrets, in the order of the text, a bounded number; of two that overlap the earlier pattern's.

    code: the text is a program, where a value without quotes is a name.
    """
    found = _Found(text)
    low = lowered(text)
    for haystack, marks in ((text, _EXACT), (low, _ANY_CASE)):
        for mark, patterns in marks.items():
            start = haystack.find(mark)
            tries = 0
            while start >= 0 and tries < _TRIES:
                for pattern in patterns:
                    found.take(pattern, start)
                start = haystack.find(mark, start + 1)
                tries += 1
    for named in named_values(text, low, code):
        found.add(named.name, "named_value", named.start, named.end, None)
    return found.hits()


def _by_mark(any_case: bool) -> dict[str, tuple[Pattern, ...]]:
    """Group the patterns by the literals they need, in their own order: finding a literal is a hundred times faster."""
    patterns = [pattern for pattern in PATTERNS if pattern.any_case is any_case]
    marks = dict.fromkeys(mark for pattern in patterns for mark in pattern.marks)
    return {mark: tuple(pattern for pattern in patterns if mark in pattern.marks) for mark in marks}


_EXACT, _ANY_CASE = _by_mark(False), _by_mark(True)


class _Found:
    """What was found in one text so far; nothing in it overlaps."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._hits: list[Hit] = []
        self._lines: list[int] | None = None

    def take(self, pattern: Pattern, mark: int) -> None:
        """Try a pattern around a mark."""
        if pattern.lead:
            match = pattern.regex.search(self._text, max(0, mark - pattern.lead), mark + _FARTHEST)
        else:
            match = pattern.regex.match(self._text, mark)
        if match is None:
            return
        secret = match[1]
        if _is_invented(pattern, secret) or (pattern.must is not None and not pattern.must(secret)):
            return
        checked = None if pattern.check is None else pattern.check(secret)
        self.add(pattern.name, pattern.family, *match.span(1), checked)

    def add(self, name: str, family: str, start: int, end: int, checked: bool | None) -> None:
        if len(self._hits) >= MOST or any(start < hit.end and hit.start < end for hit in self._hits):
            return
        line, column = self._position(start)
        shown = "-----BEGIN…" if family == "private_key" else self._text[start : min(start + SHOWN, end)] + "…"
        self._hits.append(Hit(name, family, start, end, line, column, shown, checked))

    def _position(self, start: int) -> tuple[int, int]:
        if self._lines is None:
            self._lines = [0, *(match.end() for match in re.finditer("\n", self._text))]
        line = bisect_right(self._lines, start)
        return line, start - self._lines[line - 1] + 1

    def hits(self) -> tuple[Hit, ...]:
        return tuple(sorted(self._hits, key=lambda hit: hit.start))


def _is_invented(pattern: Pattern, secret: str) -> bool:
    if pattern.family == "private_key":
        return False
    random = secret.rsplit("_", 1)[-1] if pattern.check is not None else secret
    return stands_in(secret) or entropy(random) < pattern.entropy


def pieces(artifact: Artifact) -> Iterator[Piece]:
    """Yield the texts of an artifact in which secrets are looked for; a notebook's magics stand in its cells' text."""
    if artifact.source is not None:
        yield Piece(artifact.source.text, Place(line=1), "", code=True)
    for note in artifact.notes:
        if note.name == "text":
            yield Piece(note.text, Place(line=1), "")
        elif not note.name.startswith(("%%", "magic", "option ")):
            yield Piece(note.text, note.place if note.name != "output" else NOWHERE, note.name)
    for reference in artifact.references:
        yield Piece(reference.value, reference.place, f"{reference.kind} reference")
