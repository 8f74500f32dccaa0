"""Check digits of many numbers at once: characters (n, length) in, one truth value a row out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hauberk.scanning.pii.groups import Flags, Ints

Chars: TypeAlias = npt.NDArray[np.uint8]
"""Digits and letters in upper case as ASCII, (n, length): a number without its separators."""
Check: TypeAlias = Callable[[Chars], Flags]

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_FEW = 12
_LUHN_TWICE = np.array([0, 2, 4, 6, 8, 1, 3, 5, 7, 9])

_VERHOEFF_PRODUCT = np.array(
    [[(b + a) % 5 if b < 5 else (b + a) % 5 + 5 for b in range(10)] for a in range(5)]
    + [[(a - b) % 5 + 5 if b < 5 else (a - b) % 5 for b in range(10)] for a in range(5, 10)]
)
"""Multiplication of the dihedral group of order ten (Verhoeff 1969)."""
_VERHOEFF_TURN = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def digits(chars: Chars) -> Ints:
    """Return the values of characters that are digits; letters give more than 9."""
    return chars.astype(np.int64) - ord("0")


def weighted(chars: Chars, weights: Sequence[int], start: int = 0) -> Ints:
    """Sum digits from `start` on by weights."""
    return np.asarray(digits(chars[:, start : start + len(weights)]) @ np.array(weights, np.int64), np.int64)


def number(chars: Chars, start: int, end: int) -> Ints:
    """Read characters [start, end) as a number."""
    return weighted(chars, [10**power for power in range(end - start - 1, -1, -1)], start)


def luhn(chars: Chars) -> Flags:
    """ISO/IEC 7812-1 Annex B."""
    values = digits(chars)
    total = values[:, ::-2].sum(1) + _LUHN_TWICE[values[:, -2::-2]].sum(1)
    return np.asarray(total % 10 == 0)


def mod_97(chars: Chars) -> Flags:
    """ISO 7064 MOD 97-10 over digits and letters (A = 10): the remainder is 1."""
    return np.asarray(remainder_97(chars) == 1)


def remainder_97(chars: Chars, *, lengths: Ints | None = None) -> Ints:
    """Return the remainder by 97 of digits and letters (A = 10); lengths: how many characters of each row count."""
    rest = np.zeros(len(chars), np.int64)
    for column in range(chars.shape[1]):
        one = chars[:, column].astype(np.int64)
        letter = one >= ord("A")
        grown = np.where(letter, rest * 100 + one - 55, rest * 10 + one - 48) % 97
        rest = grown if lengths is None else np.where(column < lengths, grown, rest)
    return rest


def mod_11_10(chars: Chars) -> Flags:
    """ISO 7064 MOD 11,10."""
    product = np.full(len(chars), 10, np.int64)
    values = digits(chars)
    for column in range(chars.shape[1] - 1):
        total = (product + values[:, column]) % 10
        product = np.where(total == 0, 10, total) * 2 % 11
    return np.asarray((product + values[:, -1]) % 10 == 1)


def mod_11_2(chars: Chars) -> Flags:
    """ISO 7064 MOD 11-2: the last character may be X for 10."""
    total = np.zeros(len(chars), np.int64)
    values = digits(chars)
    for column in range(chars.shape[1] - 1):
        total = (total + values[:, column]) * 2 % 11
    last = np.where(chars[:, -1] == ord("X"), 10, values[:, -1])
    return np.asarray((last <= 10) & ((total + last) % 11 == 1))


def verhoeff(chars: Chars) -> Flags:
    """Verhoeff 1969."""
    turn = np.arange(10)
    state = np.zeros(len(chars), np.int64)
    values = digits(chars)
    for column in range(chars.shape[1] - 1, -1, -1):
        state = _VERHOEFF_PRODUCT[state, turn[values[:, column]]]
        turn = np.array(_VERHOEFF_TURN)[turn]
    return np.asarray(state == 0)


def is_date(year: Ints, month: Ints, day: Ints) -> Flags:
    """Say whether month and day exist; the 29th of February of years below 100 may."""
    fine = (month >= 1) & (month <= 12) & (day >= 1)
    fine &= day <= _DAYS[np.where(fine, month, 0)]
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0) | (year < 100))
    return np.asarray(fine & (leap | (month != 2) | (day < 29)))


def begins_with_date(chars: Chars, order: str = "yymmdd") -> Flags:
    """Say whether the first six digits are a date, as "yymmdd" or "ddmmyy"."""
    parts = {order[i : i + 2]: number(chars, i, i + 2) for i in range(0, 6, 2)}
    return is_date(parts["yy"], parts["mm"], parts["dd"])


def one_of(values: Ints, known: Sequence[int] | range) -> Flags:
    """Say which values are known ones."""
    if isinstance(known, range) and known.step == 1:
        return np.asarray((values >= known.start) & (values < known.stop))
    if len(known) <= _FEW:
        found = values == known[0]
        for one in known[1:]:
            found |= values == one
        return np.asarray(found)
    return np.asarray(np.isin(values, np.array(known)))


def same_digit(chars: Chars) -> Flags:
    """Say which numbers are one digit over and over: placeholders, though their check digit often holds."""
    return np.asarray((chars == chars[:, :1]).all(1))


def letter(text: str, index: Ints) -> npt.NDArray[np.uint8]:
    """Pick a check letter by its index."""
    return np.asarray(np.frombuffer(text.encode("ascii"), np.uint8)[index])
