"""Payment cards: the networks' number ranges and lengths, and Luhn."""

from __future__ import annotations

import numpy as np

from hauberk.scanning.pii.checksums import Chars, luhn, number, same_digit
from hauberk.scanning.pii.groups import Flags
from hauberk.scanning.pii.kinds import Kind

_RANGES: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (400000, 499999, (16, 19)),
    (510000, 559999, (16,)),
    (222100, 272099, (16,)),
    (340000, 349999, (15,)),
    (370000, 379999, (15,)),
    (601100, 601199, (16, 17, 18, 19)),
    (644000, 659999, (16, 17, 18, 19)),
    (622126, 622925, (16, 17, 18, 19)),
    (300000, 305999, (14,)),
    (360000, 369999, (14,)),
    (380000, 399999, (14,)),
    (352800, 358999, (16,)),
    (620000, 629999, (16, 17, 18, 19)),
    (220000, 220499, (16,)),
    (810000, 817199, (16, 17, 18, 19)),
    (600000, 600099, (16,)),
    (606282, 606282, (16,)),
    (213100, 213199, (15,)),
    (180000, 180099, (15,)),
)
"""First six digits from, to, and how many digits there are: Visa, Mastercard (two), American Express (two), Discover
(three), Diners (three), JCB, UnionPay, Mir, RuPay, Hipercard, and JCB's old fifteen."""

_RARE = (
    (500000, 509999, (12, 13, 14, 15, 16, 17, 18, 19)),
    (560000, 589999, (12, 13, 14, 15, 16, 17, 18, 19)),
    (630000, 639999, (12, 13, 14, 15, 16, 17, 18, 19)),
    (670000, 699999, (12, 13, 14, 15, 16, 17, 18, 19)),
    (400000, 499999, (13,)),
)
"""Maestro, and Visa of thirteen digits: so wide that a word must say it is a card."""


def _in(chars: Chars, ranges: tuple[tuple[int, int, tuple[int, ...]], ...]) -> Flags:
    first, length = number(chars, 0, 6), chars.shape[1]
    found = np.zeros(len(chars), np.bool_)
    for low, high, lengths in ranges:
        if length in lengths:
            found |= (first >= low) & (first <= high)
    return found


def card(chars: Chars) -> Flags:
    """Say which numbers are of a network's range and length and pass Luhn."""
    return luhn(chars) & _in(chars, _RANGES) & ~same_digit(chars)


def rare_card(chars: Chars) -> Flags:
    """As `card`, of the wide ranges."""
    return luhn(chars) & _in(chars, _RARE) & ~same_digit(chars)


_GROUPED = tuple(
    pattern.replace(" ", mark)
    for pattern in ("9999 9999 9999 9999", "9999 999999 99999", "9999 999999 9999", "9999 9999 9999 9999 999")
    for mark in " -."
)
_BARE = tuple("9" * length for length in (14, 15, 16, 17, 18, 19))
_WORDS = (
    "card|visa|master|amex|maestro|carte|karte|tarjeta|carta |carto|kort|kaart|kart|credit|debit| cc |карт|カード|카드"
)

KINDS: tuple[Kind, ...] = (
    Kind("card", "Payment card", "card", "", (*_GROUPED, *_BARE), card, 0.02, (*_GROUPED, *_BARE), _WORDS),
    Kind(
        "card_rare",
        "Payment card",
        "card",
        "",
        ("999999999999", "9999999999999", *_BARE, *_GROUPED),
        rare_card,
        0.02,
        (),
        _WORDS,
    ),
)
"""Payment cards."""
