"""Numbers of patients and of those who treat them, from the issuers' published rules."""

from __future__ import annotations

import numpy as np

from hauberk.scanning.pii.checksums import Chars, digits, number, one_of, same_digit, weighted
from hauberk.scanning.pii.groups import Flags
from hauberk.scanning.pii.kinds import Kind

_MBI_LETTERS = np.isin(np.arange(256), np.frombuffer(b"ACDEFGHJKMNPQRTUVWXY", np.uint8))


def provider(chars: Chars) -> Flags:
    """NPI: Luhn with 80840 before it, which adds 24 (45 CFR 162.406)."""
    values = digits(chars)
    doubled = values[:, 0:9:2] * 2
    total = 24 + (doubled // 10 + doubled % 10).sum(1) + values[:, 1:9:2].sum(1) + values[:, 9]
    return np.asarray((total % 10 == 0) & one_of(number(chars, 0, 1), (1, 2)))


def prescriber(chars: Chars) -> Flags:
    """DEA number: odd places and twice the even ones, modulo 10."""
    kind = np.isin(chars[:, 0], np.frombuffer(b"ABCDEFGHJKLMPRSTUX", np.uint8))
    return np.asarray(kind & (weighted(chars, (1, 2, 1, 2, 1, 2, 9), 2) % 10 == 0) & ~same_digit(chars[:, 2:]))


def beneficiary(chars: Chars) -> Flags:
    """MBI: letters without S, L, O, I, B, Z at their places, the first digit from 1 to 9 (CMS, 2018)."""
    letters = _MBI_LETTERS[chars]
    numeral = (chars >= ord("0")) & (chars <= ord("9"))
    either = letters | numeral
    fits = (chars[:, 0] >= ord("1")) & numeral[:, [0, 3, 6, 9, 10]].all(1) & letters[:, [1, 4, 7, 8]].all(1)
    return np.asarray(fits & either[:, [2, 5]].all(1))


def british_health(chars: Chars) -> Flags:
    """NHS number: weights 10 to 2 modulo 11; 10 is not given out."""
    key = (11 - weighted(chars, range(10, 1, -1)) % 11) % 11
    return np.asarray((key == number(chars, 9, 10)) & ~same_digit(chars))


def australian_medicare(chars: Chars) -> Flags:
    """Weights 1 3 7 9 modulo 10; the first digit from 2 to 6."""
    key = weighted(chars, (1, 3, 7, 9, 1, 3, 7, 9)) % 10
    return np.asarray(
        (key == number(chars, 8, 9)) & one_of(number(chars, 0, 1), range(2, 7)) & (chars[:, 9] > ord("0"))
    )


_MBI = tuple(
    form for third in "9A" for sixth in "9A" for form in (f"9A{third}9A{sixth}9AA99", f"9A{third}9-A{sixth}9-AA99")
)

KINDS: tuple[Kind, ...] = (
    Kind(
        "us_npi",
        "National provider identifier",
        "medical id",
        "US",
        ("9999999999",),
        provider,
        0.02,
        (),
        " npi |provider",
    ),
    Kind("us_dea", "DEA registration", "medical id", "US", ("AA9999999",), prescriber, 0.05, (), " dea |prescrib"),
    Kind(
        "us_mbi",
        "Medicare beneficiary identifier",
        "medical id",
        "US",
        _MBI,
        beneficiary,
        0.3,
        tuple(form for form in _MBI),
        " mbi |medicare|beneficiar",
    ),
    Kind(
        "uk_nhs",
        "NHS number",
        "medical id",
        "GB",
        ("999 999 9999", "9999999999", "999-999-9999"),
        british_health,
        0.09,
        (),
        " nhs |health",
    ),
    Kind(
        "au_medicare",
        "Medicare number",
        "medical id",
        "AU",
        ("9999 99999 9", "9999999999"),
        australian_medicare,
        0.05,
        ("9999 99999 9",),
        "medicare",
    ),
)
"""Numbers of health care."""
