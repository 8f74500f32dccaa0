"""Names of people, by a small lexicon and by what stands before them; a default that claims little."""

from __future__ import annotations

import re
from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hauberk.scanning.pii.groups import OTHER, Bytes, Flags, Ints, Text
from hauberk.scanning.pii.kinds import Kind
from hauberk.scanning.pii.spans import Spans
from hauberk.scanning.pii.words import words

Keys: TypeAlias = npt.NDArray[np.uint64]

NAME = Kind("name", "Name", "name", chance=0.2, words="")

_WIDTH = 16
"""Bytes of a word that are compared; longer names are rare enough to be told by their first sixteen."""
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_TITLES = frozenset(words("titles"))
_TITLE = re.compile(r"(?:^|[\s(\"'>,;:])(?:" + "|".join(sorted(_TITLES)) + r")\.?\s$", re.IGNORECASE)
_NAMED_COLUMN = re.compile(
    r"(^|[ _-])(full|first|last|given|family|sur|fore|middle|maiden|patient|customer|client|person|employee|contact|"
    r"holder|owner|author|student|nick)?[ _-]?name$|surname|nachname|vorname|^nom$|pr[ée]nom|nombre|apellido|cognome|^nome$"
    r"|^(first|last|given|family)$"
)


_A_PERSONS_OWN = re.compile(
    r"(^|[ _-])(full|first|last|given|family|sur|fore|middle|maiden)[ _-]?name$|nachname|vorname|pr[ée]nom|apellido|cognome"
    r"|^(first|last|given|family)$"
)


def find(text: Text) -> Spans:
    """Find two or three capitalised words: a known given name before a family name, or any after a title."""
    starts, ends = _words(text)
    capital = _is_capital(text, starts) & (ends - starts >= 2)
    starts, ends = starts[capital], ends[capital]
    if len(starts) < 1:
        return Spans.none(NAME.name)
    keys = _keys(text, starts, ends)
    given, family = np.isin(keys, _lexicon("given_names")), np.isin(keys, _lexicon("family_names"))
    next_to = np.zeros(len(starts), np.bool_)
    next_to[:-1] = (starts[1:] - ends[:-1] == 1) & (text.data[ends[:-1]] == ord(" "))
    both = np.flatnonzero(next_to[:-1] & given[:-1] & family[1:])
    reach = ends[np.minimum(both + 1, len(ends) - 1)]
    third = np.minimum(both + 2, len(ends) - 1)
    longer = next_to[np.minimum(both + 1, len(ends) - 1)] & family[third] & (third > both + 1)
    reach = np.where(longer, ends[third], reach)
    titled, titled_ends = _titled(text, starts, ends, next_to)
    places = np.concatenate([starts[both], titled])
    stops = np.concatenate([reach, titled_ends])
    sure = np.ones(len(places), np.bool_)
    order = np.lexsort((-stops, places))
    places, stops = places[order], stops[order]
    first = np.ones(len(places), np.bool_)
    first[1:] = places[1:] != places[:-1]
    return Spans(NAME.name, places[first], stops[first], sure[first])


def known(text: Text) -> Ints:
    """Return where words begin that are known given or family names, however they are written."""
    starts, ends = _words(text)
    if not len(starts):
        return starts
    keys = _keys(text, starts, ends)
    return starts[np.isin(keys, _lexicon("given_names")) | np.isin(keys, _lexicon("family_names"))]


def names_a_person(column: str) -> bool:
    """Say whether a column's name promises people's names."""
    return _NAMED_COLUMN.search(column.lower()) is not None


def names_nothing_else(column: str) -> bool:
    """Say whether a column is called what only people have: a first name, a surname; products have names too."""
    return _A_PERSONS_OWN.search(column.lower()) is not None


def _words(text: Text) -> tuple[Ints, Ints]:
    """Find words of letters, with hyphens and apostrophes inside."""
    inside = text.classes > 1
    marks = (text.data == ord("-")) | (text.data == ord("'"))
    joined = inside.copy()
    joined[1:-1] |= marks[1:-1] & inside[:-2] & inside[2:]
    edges = np.flatnonzero(joined[1:] != joined[:-1]) + 1
    starts, ends = edges[::2], edges[1::2]
    alone = (text.classes[starts - 1] == OTHER) & (text.classes[ends] == OTHER)
    return starts[alone], ends[alone]


def _is_capital(text: Text, starts: Ints) -> Flags:
    """Say which words begin with a capital: of ASCII, or of the Latin letters with marks (C3 80 to C3 9E, C4, C5)."""
    first, second = text.data[starts], text.data[starts + 1]
    latin = ((first == 0xC3) & (second < 0x9F)) | (((first == 0xC4) | (first == 0xC5)) & (second % 2 == 0))
    return np.asarray(((first >= ord("A")) & (first <= ord("Z"))) | latin)


def _keys(text: Text, starts: Ints, ends: Ints) -> Keys:
    """Hash words in lower case."""
    window = text.windows(starts, _WIDTH)
    window = np.where(np.arange(_WIDTH) < (ends - starts)[:, None], window, 0)
    return _hashed(_lowered(window.astype(np.uint8)))


def _lowered(window: Bytes) -> Bytes:
    """Lower ASCII letters, and Latin ones with marks in their first place."""
    capital = (window >= ord("A")) & (window <= ord("Z"))
    capital[:, 1:] |= (window[:, :-1] == 0xC3) & (window[:, 1:] >= 0x80) & (window[:, 1:] < 0x9F)
    lowered = np.where(capital, window + 32, window).astype(np.uint8)
    further = ((lowered[:, 0] == 0xC4) | (lowered[:, 0] == 0xC5)) & (lowered[:, 1] % 2 == 0)
    odd = (lowered[:, 0] == 0xC5) & ((lowered[:, 1] == 0x81) | (lowered[:, 1] >= 0xB9))  # Ł, Ż: capitals are odd there
    lowered[:, 1] += (further & ~odd).astype(np.uint8)
    lowered[:, 1] += (odd & (lowered[:, 1] % 2 == 1)).astype(np.uint8)
    return lowered


def _hashed(window: Bytes) -> Keys:
    halves = np.ascontiguousarray(window).view(np.uint64)
    mixed = (halves[:, 0] * _MIX[0]) ^ (halves[:, 1] * _MIX[1])
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), np.uint64)


@cache
def _lexicon(name: str) -> Keys:
    """Hash the words of a list."""
    known = sorted(set(words(name)))
    window = np.zeros((len(known), _WIDTH), np.uint8)
    for row, word in enumerate(known):
        raw = word.encode("utf-8")[:_WIDTH]
        window[row, : len(raw)] = np.frombuffer(raw, np.uint8)
    return np.sort(_hashed(window))


def _titled(text: Text, starts: Ints, ends: Ints, next_to: Flags) -> tuple[Ints, Ints]:
    """Find capitalised words after a title such as Mr or Frau."""
    before = text.data[starts - 1] == ord(" ")
    mark = text.data[starts - 2]
    likely = before & ((mark == ord(".")) | (np.isin(mark, np.frombuffer(b"rsneauvlgt", np.uint8))))
    places, stops = [], []
    for row in np.flatnonzero(likely).tolist():
        window = text.data[starts[row] - 12 : starts[row]].tobytes().decode("utf-8", "ignore")
        word = text.data[starts[row] : ends[row]].tobytes().decode("utf-8", "ignore").lower()
        if word in _TITLES or not _TITLE.search(window.replace("\0", " ")):
            continue
        last = row
        while last - row < 2 and next_to[last]:
            last += 1
        places.append(int(starts[row]))
        stops.append(int(ends[last]))
    return np.array(places, np.int64), np.array(stops, np.int64)
