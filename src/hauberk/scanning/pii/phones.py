"""Telephone numbers: international ones by country code and length (E.164), North America's by plan, others by a word."""

from __future__ import annotations

import numpy as np

from hauberk.scanning.pii.groups import CLOSE, DASH, DIGIT, DOT, OPEN, SLASH, SPACE, Bytes, Flags, Groups, Ints, Text
from hauberk.scanning.pii.kinds import Kind
from hauberk.scanning.pii.spans import Spans
from hauberk.scanning.pii.words import words

PHONE = Kind(
    "phone",
    "Telephone number",
    "phone",
    chance=0.5,
    words=" phone|telephone| fone| tel |telefo|teléfo|téléphone| tél | mobile|mobil |mobiel|mobitel| cell |cellul|cellphone| fax| call |"
    " call me| calling| ring |handy|movil |móvil |portable|puhelin|komórk| kom |gsm| sms |whatsapp|celular|тел|моб|звон|τηλ|κιν|電話|"
    "携帯|电话|手机|전화|휴대|هاتف|جوال|موبایل|تلفن|טלפון|फ़ोन|โทร|hotline|phone number",
)

_JOINS = np.zeros(256, np.bool_)
_JOINS[[SPACE, DASH, DOT, SLASH, OPEN, CLOSE]] = True
_MOST_GROUPS, _MOST_DIGITS = 8, 17
"""Of one number; with 00 and a trunk 0."""


def _lengths() -> tuple[Ints, Ints]:
    """Spread the country codes over their first three digits → least and most national digits, -1 where there is none."""
    least, most = np.full(1000, 99, np.int64), np.full(1000, -1, np.int64)
    for entry in words("calling_codes"):
        code, _, lengths = entry.partition(":")
        low, _, high = lengths.partition("-")
        width = 10 ** (3 - len(code))
        span = slice(int(code) * width, (int(code) + 1) * width)
        least[span], most[span] = int(low) + len(code), int(high or low) + len(code)
    return least, most


_LEAST, _MOST = _lengths()


class _Chain:
    """Numbers that begin at some groups and end after one, two … groups."""

    def __init__(self, text: Text, found: Groups, first: Ints) -> None:
        self.text, self.found, self.first, self.last = text, found, first, first.copy()
        self.total = found.lengths[first].copy()
        self.trunk = np.zeros(len(first), np.bool_)

    def grow(self) -> None:
        """Go on to the next group; what cannot is dropped."""
        found = self.found
        following = np.minimum(self.last + 1, len(found.starts) - 1)
        on = _JOINS[found.after[self.last]] & found.digits[following]
        on &= self.total + found.lengths[following] <= _MOST_DIGITS
        self.first, self.last, self.total, self.trunk = self.first[on], following[on], self.total[on], self.trunk[on]
        bracket = (found.lengths[self.last] == 1) & (self.text.data[found.starts[self.last]] == ord("0"))
        self.trunk |= bracket & (self.text.data[found.starts[self.last] - 1] == ord("("))
        self.total += found.lengths[self.last]


def find(text: Text, found: Groups) -> Spans:
    """Find telephone numbers; those that are `sure` are international, or of North America and written as such."""
    data = text.data
    first = np.flatnonzero(found.digits & (found.lengths <= 15) & text.left_free(found.starts))
    chain, kept = _Chain(text, found, first), []
    free = text.right_free(found.ends) | ((data[found.ends] == ord("x")) & (text.classes[found.ends + 1] == DIGIT))
    for _ in range(_MOST_GROUPS):
        if not len(chain.first):
            break
        usable = np.flatnonzero((chain.total >= 7) & free[chain.last])
        one = _Chain(text, found, chain.first[usable])
        one.last, one.total, one.trunk = chain.last[usable], chain.total[usable], chain.trunk[usable]
        kept.append(_judged(one))
        chain.grow()
    if not kept:
        return Spans.none(PHONE.name)
    starts, ends, sure = (np.concatenate(part) for part in zip(*kept, strict=True))
    return _longest(starts, _extended(text, ends), sure)


def _judged(chain: _Chain) -> tuple[Ints, Ints, Flags]:
    """Judge numbers of one length in groups."""
    data, found = chain.text.data, chain.found
    starts, ends = found.starts[chain.first], found.ends[chain.last]
    plus = (data[starts - 1] == ord("+")) | ((data[starts - 1] == ord("(")) & (data[starts - 2] == ord("+")))
    zeros = (data[starts] == ord("0")) & (data[starts + 1] == ord("0")) & (found.lengths[chain.first] >= 2)
    head = _three(chain.text, np.where(zeros & ~plus, starts + 2, starts))
    digits = chain.total - chain.trunk - np.where(zeros & ~plus, 2, 0)
    # written with the trunk zero after the country code: +44 (0)20 … is counted without it, +39 0… keeps it
    world = (digits >= _LEAST[head]) & (digits <= _MOST[head]) & (digits <= 15)
    grouped = chain.last > chain.first
    american = _american(data, found, chain) & ~plus
    national = ~plus & (chain.total <= 13) & ~_dated(found, chain) & ~_decimal(found, chain)
    good = (plus & world) | american | national | (zeros & world)
    sure = (plus & world) | american | (zeros & world & grouped & ~plus)
    bracket = (data[starts - 1] == ord("(")) & (found.after[chain.first] == CLOSE)
    begins = starts - np.where(plus, 1, 0) - np.where(bracket & ~plus, 1, 0)
    return begins[good], ends[good], sure[good]


def _three(text: Text, starts: Ints) -> Ints:
    """Read the first three digits over marks between them."""
    window = text.windows(starts, 8).astype(np.int64) - 48
    numeral = (window >= 0) & (window <= 9)
    value, count = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.int64)
    for column in range(window.shape[1]):
        taken = numeral[:, column] & (count < 3)
        value = np.where(taken, value * 10 + window[:, column], value)
        count += taken
    return value


def _american(data: Bytes, found: Groups, chain: _Chain) -> Flags:
    """Three, three and four digits with dashes, dots or brackets, perhaps after a 1; area and exchange from 2 on."""
    size = chain.last - chain.first
    lead = (size == 3) & (found.lengths[chain.first] == 1) & (data[found.starts[chain.first]] == ord("1"))
    first = np.minimum(chain.first + lead, len(found.starts) - 3)
    fits = ((size == 2) | lead) & (found.lengths[first] == 3) & (found.lengths[first + 1] == 3)
    fits &= found.lengths[first + 2] == 4
    fits &= (data[found.starts[first]] >= ord("2")) & (data[found.starts[first + 1]] >= ord("2"))
    joined = found.after[first + 1]
    return np.asarray(fits & ((joined == DASH) | (joined == DOT)))


def _dated(found: Groups, chain: _Chain) -> Flags:
    """Say which are dates, perhaps with a time: 2, 2, 4 or 4, 2, 2 digits first."""
    first = np.minimum(chain.first, len(found.starts) - 3)
    one, two, three = found.lengths[first], found.lengths[first + 1], found.lengths[first + 2]
    shape = ((one <= 2) & (two <= 2) & (three == 4)) | ((one == 4) & (two <= 2) & (three <= 2))
    same = found.after[first] == found.after[first + 1]
    return np.asarray(shape & same & (chain.last - chain.first >= 2) & (found.after[first] != SPACE))


def _decimal(found: Groups, chain: _Chain) -> Flags:
    """Say which are two groups with a dot, as fractions are."""
    return np.asarray((chain.last - chain.first == 1) & (found.after[chain.first] == DOT))


def _extended(text: Text, ends: Ints) -> Ints:
    """Take in an extension: x, perhaps after a blank, and up to six digits."""
    gap = (text.data[ends] == ord(" ")).astype(np.int64)
    marked = (text.data[ends + gap] == ord("x")) & (text.classes[ends + gap + 1] == DIGIT)
    window = text.kinds(ends + gap + 1, 7) == DIGIT
    count = np.where(window.all(1), 7, (~window).argmax(1))
    return np.where(marked & (count <= 6), ends + gap + 1 + count, ends)


def _longest(starts: Ints, ends: Ints, sure: Flags) -> Spans:
    """Keep the longest number of each beginning, and a sure one before one that is not."""
    order = np.lexsort((-ends, ~sure, starts))
    starts, ends, sure = starts[order], ends[order], sure[order]
    first = np.ones(len(starts), np.bool_)
    first[1:] = (starts[1:] != starts[:-1]) & (sure[1:] | (starts[1:] >= np.maximum.accumulate(ends)[:-1]))
    return Spans(PHONE.name, starts[first], ends[first], sure[first])
