"""What a kind of personal number is: its written forms, its check, and the words that stand beside it."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from hauberk.scanning.pii.checksums import Check

Family: TypeAlias = Literal[
    "card",
    "bank account",
    "e-mail",
    "phone",
    "network address",
    "national id",
    "tax number",
    "medical id",
    "wallet",
    "date of birth",
    "name",
]


class Kind(NamedTuple):
    """One kind of personal data. name: stable, such as "us_ssn". country: ISO 3166, or empty.

    forms: how it is written, 9 a digit and A a letter. check: over the digits and letters of a form.
    chance: how often what is written so at random passes the check. alone: forms that need no word beside them, since
    nothing else is written so. words: texts in lower case, parted by |, that say what the number is; a blank in one is
    the edge of a word.
    """

    name: str
    title: str
    family: Family
    country: str = ""
    forms: tuple[str, ...] = ()
    check: Check | None = None
    chance: float = 1.0
    alone: tuple[str, ...] = ()
    words: str = ""
