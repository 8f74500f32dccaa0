"""Dates of birth: dates in numbers beside a word for birth."""

from __future__ import annotations

import numpy as np

from hauberk.scanning.pii.checksums import Chars, is_date, number
from hauberk.scanning.pii.groups import Flags
from hauberk.scanning.pii.kinds import Kind

_FIRST_YEAR, _LAST_YEAR = 1900, 2099
_WORDS = (
    " born|birth| dob | d o b| bday|gebo| geb |naiss| née | né | nee | ne |nacim|nacid|nascit| nato | nata |nasc|född|født"
    "fødsel|syntym|urodz|narozen|doğum|γέννησ|γεννήθ|рожд|родил|народж|生年月日|出生|생년월일|תאריך לידה|ميلاد|जन्म"
)


def day_first(chars: Chars) -> Flags:
    """Eight digits as day, month, year, or month first as in America."""
    year = number(chars, 4, 8)
    one, two = number(chars, 0, 2), number(chars, 2, 4)
    return (is_date(year, two, one) | is_date(year, one, two)) & (year >= _FIRST_YEAR) & (year <= _LAST_YEAR)


def year_first(chars: Chars) -> Flags:
    """Eight digits as year, month, day."""
    year = number(chars, 0, 4)
    known = (year >= _FIRST_YEAR) & (year <= _LAST_YEAR)
    return np.asarray(is_date(year, number(chars, 4, 6), number(chars, 6, 8)) & known)


def _forms(pattern: str) -> tuple[str, ...]:
    return tuple(pattern.replace("-", mark) for mark in "-/.")


KINDS: tuple[Kind, ...] = (
    Kind("birth_date", "Date of birth", "date of birth", "", _forms("99-99-9999"), day_first, 0.5, (), _WORDS),
    Kind("birth_date_iso", "Date of birth", "date of birth", "", _forms("9999-99-99"), year_first, 0.5, (), _WORDS),
)
"""Both ways to write a date in numbers."""
