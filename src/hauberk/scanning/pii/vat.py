"""VAT numbers with the prefix of their country, from the tax authorities' published rules."""

from __future__ import annotations

import numpy as np

from hauberk.scanning.pii.checksums import (
    Chars,
    Check,
    digits,
    letter,
    luhn,
    mod_11_10,
    number,
    one_of,
    remainder_97,
    weighted,
)
from hauberk.scanning.pii.groups import Flags
from hauberk.scanning.pii.kinds import Kind


def austrian(chars: Chars) -> Flags:
    """Digit sums of doubled even places."""
    values = digits(chars[:, 1:])
    doubled = values[:, 1:7:2] * 2
    total = values[:, 0:7:2].sum(1) + (doubled // 10 + doubled % 10).sum(1)
    return np.asarray(((96 - total) % 10 == values[:, 7]) & (chars[:, 0] == ord("U")))


def belgian(chars: Chars) -> Flags:
    """97 less the first eight digits modulo 97."""
    return np.asarray((97 - number(chars, 0, 8) % 97 == number(chars, 8, 10)) & (chars[:, 0] <= ord("1")))


def danish(chars: Chars) -> Flags:
    """Weights modulo 11."""
    return np.asarray(weighted(chars, (2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0)


def finnish(chars: Chars) -> Flags:
    """Weights modulo 11."""
    return np.asarray(weighted(chars, (7, 9, 10, 5, 8, 4, 2, 1)) % 11 == 0)


def french(chars: Chars) -> Flags:
    """Two digits from the SIREN, which itself is Luhn."""
    siren = number(chars, 2, 11)
    return np.asarray(luhn(chars[:, 2:]) & ((12 + 3 * (siren % 97)) % 97 == number(chars, 0, 2)))


def italian(chars: Chars) -> Flags:
    """Luhn; digits eight to ten are the office that gave it out."""
    office = one_of(number(chars, 7, 10), (*range(1, 101), 120, 121, 888, 999))
    return luhn(chars) & office & (number(chars, 0, 7) > 0)


def luxembourgish(chars: Chars) -> Flags:
    """The first six digits modulo 89."""
    return np.asarray(number(chars, 0, 6) % 89 == number(chars, 6, 8))


def dutch(chars: Chars) -> Flags:
    """Nine digits by the elfproef, or since 2020 the whole with its country modulo 97."""
    old = weighted(chars, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0
    prefixed = np.concatenate([np.broadcast_to(np.frombuffer(b"NL", np.uint8), (len(chars), 2)), chars], 1)
    return np.asarray(np.asarray(old | (remainder_97(prefixed) == 1)) & (chars[:, 9] == ord("B")))


def polish(chars: Chars) -> Flags:
    """Weights modulo 11."""
    return np.asarray(weighted(chars, (6, 5, 7, 2, 3, 4, 5, 6, 7, -1)) % 11 == 0)


def portuguese(chars: Chars) -> Flags:
    """Weights modulo 11, where 10 counts as 0."""
    rest = 11 - weighted(chars, (9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return np.asarray(np.where(rest > 9, 0, rest) == number(chars, 8, 9))


def swedish(chars: Chars) -> Flags:
    """Luhn, and 01 at the end."""
    return np.asarray(luhn(chars[:, :10]) & (number(chars, 10, 12) == 1))


def british(chars: Chars) -> Flags:
    """Weights 8 to 2 modulo 97, since 2010 with 55 more."""
    total = weighted(chars, (8, 7, 6, 5, 4, 3, 2)) + number(chars, 7, 9)
    return np.asarray((total % 97 == 0) | ((total + 55) % 97 == 0))


def spanish_person(chars: Chars) -> Flags:
    """A person's: eight digits and the letter modulo 23."""
    return np.asarray(letter("TRWAGMYFPDXBNJZSQVHLCKE", number(chars, 0, 8) % 23) == chars[:, 8])


def greek(chars: Chars) -> Flags:
    """Powers of two modulo 11 modulo 10."""
    key = weighted(chars, (256, 128, 64, 32, 16, 8, 4, 2)) % 11 % 10
    return np.asarray(key == number(chars, 8, 9))


def _kind(prefix: str, body: str, check: Check) -> Kind:
    """Make the kind of one country: with or without a space after the prefix."""

    def checked(chars: Chars) -> Flags:
        begins = (chars[:, 0] == ord(prefix[0])) & (chars[:, 1] == ord(prefix[1]))
        fits = check(chars[:, 2:])
        return np.asarray(begins & fits)

    forms = ("AA" + body, "AA " + body)
    return Kind(
        f"vat_{prefix.lower()}", f"VAT number {prefix}", "tax number", prefix, forms, checked, 0.1, forms, " vat|tax"
    )


KINDS: tuple[Kind, ...] = (
    _kind("AT", "A99999999", austrian),
    _kind("BE", "9999999999", belgian),
    _kind("DE", "999999999", mod_11_10),
    _kind("DK", "99999999", danish),
    _kind("EL", "999999999", greek),
    _kind("ES", "99999999A", spanish_person),
    _kind("FI", "99999999", finnish),
    _kind("FR", "99999999999", french),
    _kind("GB", "999999999", british),
    _kind("HR", "99999999999", mod_11_10),
    _kind("IT", "99999999999", italian),
    _kind("LU", "99999999", luxembourgish),
    _kind("NL", "999999999A99", dutch),
    _kind("PL", "9999999999", polish),
    _kind("PT", "999999999", portuguese),
    _kind("SE", "999999999999", swedish),
)
"""VAT numbers of sixteen countries."""
