"""International bank account numbers: the length of each country in the registry, and MOD 97-10."""

from __future__ import annotations

import numpy as np

from hauberk.scanning.pii.checksums import remainder_97
from hauberk.scanning.pii.groups import DIGIT, LETTER, OTHER, Groups, Ints, Text
from hauberk.scanning.pii.kinds import Kind
from hauberk.scanning.pii.spans import Spans
from hauberk.scanning.pii.words import words

_LONGEST, _WINDOW = 34, 43
"""Characters of the longest one, and with a blank after every four."""

KIND = Kind("iban", "IBAN", "bank account", chance=1 / 97, words="iban")


def _table() -> Ints:
    table = np.zeros(1 << 16, np.int64)
    for entry in words("iban_lengths"):
        table[ord(entry[0]) << 8 | ord(entry[1])] = int(entry[2:])
    return table


_COUNTRY = _table()


def find(text: Text, found: Groups) -> Spans:
    """Find IBANs, written together or in fours."""
    first = np.flatnonzero((found.lengths == 2) & ~found.digits & (found.after == 1))
    starts = found.starts[first]
    pairs = (text.data[starts].astype(np.int64) & 0xDF) << 8 | text.data[starts + 1] & 0xDF
    lengths = _COUNTRY[pairs]
    numbered = text.classes[starts + 2] + text.classes[starts + 3] == 2 * DIGIT
    kept = np.flatnonzero((lengths > 0) & numbered & text.left_free(starts))
    starts, lengths = starts[kept], lengths[kept]
    chars, ends = _compact(text, starts, lengths)
    rotated = np.take_along_axis(chars, _rotation(lengths), 1)
    good = (ends > 0) & (remainder_97(rotated, lengths=lengths) == 1)
    good &= text.classes[ends] == OTHER
    return Spans(KIND.name, starts[good], ends[good], np.ones(int(good.sum()), np.bool_))


def _compact(text: Text, starts: Ints, lengths: Ints) -> tuple[np.ndarray, Ints]:
    """Gather characters without the blanks after every fourth; ends: 0 where one is no digit or letter."""
    plain = starts[:, None] + np.arange(_LONGEST)
    spaced = plain + np.arange(_LONGEST) // 4
    wide = (text.data[starts + 4] == ord(" ")) | (text.data[starts + 4] == ord("-"))
    places = np.where(wide[:, None], spaced, plain)
    chars = text.data[places]
    chars = np.where(chars >= ord("a"), chars - 32, chars).astype(np.uint8)
    inside = np.arange(_LONGEST) < lengths[:, None]
    kinds = text.classes[places]
    fine = (~inside | (kinds == DIGIT) | (kinds == LETTER)).all(1)
    ends = np.where(fine, places[np.arange(len(starts)), lengths - 1] + 1, 0) if len(starts) else starts
    return chars, ends


def _rotation(lengths: Ints) -> Ints:
    """Index the characters with the first four after the last."""
    columns = np.arange(_LONGEST)[None, :] + 4
    return np.where(
        columns < lengths[:, None], columns, np.minimum(columns - lengths[:, None], _LONGEST - 1) % _LONGEST
    )
