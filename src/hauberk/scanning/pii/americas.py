"""National and tax numbers of the Americas, from the issuers' published rules."""

from __future__ import annotations

import numpy as np

from hauberk.scanning.pii.checksums import (
    Chars,
    begins_with_date,
    digits,
    letter,
    luhn,
    number,
    one_of,
    same_digit,
    weighted,
)
from hauberk.scanning.pii.groups import Flags
from hauberk.scanning.pii.kinds import Kind
from hauberk.scanning.pii.words import words

_CURP = "0123456789ABCDEFGHIJKLMN&OPQRSTUVWXYZ"
_MEXICAN_STATES = words("mexican_states")
_PUBLISHED_SSN = (78051120, 219099999, 123456789, 987654321)
"""Printed in advertisements and examples: nobody's."""


def social_security(chars: Chars) -> Flags:
    """SSN since 2011: area not 000, 666 or 9xx, group not 00, serial not 0000. There is no check digit."""
    area, value = number(chars, 0, 3), number(chars, 0, 9)
    fits = (area > 0) & (area != 666) & (area < 900) & (number(chars, 3, 5) > 0) & (number(chars, 5, 9) > 0)
    return np.asarray(fits & ~one_of(value, _PUBLISHED_SSN) & ~same_digit(chars))


def taxpayer(chars: Chars) -> Flags:
    """ITIN: 9xx with the groups that the IRS gives out."""
    group = number(chars, 3, 5)
    fits = (group >= 50) & (group <= 99) & ~one_of(group, (66, 67, 68, 69, 89, 93))
    return np.asarray((chars[:, 0] == ord("9")) & fits)


def canadian_sin(chars: Chars) -> Flags:
    """Luhn; 0 and 8 are not given to people."""
    return luhn(chars) & ~one_of(number(chars, 0, 1), (0, 8))


def brazilian_cpf(chars: Chars) -> Flags:
    """Two check digits modulo 11, where 10 counts as 0."""
    first = weighted(chars, range(10, 1, -1)) * 10 % 11 % 10 == number(chars, 9, 10)
    second = weighted(chars, range(11, 1, -1)) * 10 % 11 % 10 == number(chars, 10, 11)
    return np.asarray(first & second & ~same_digit(chars))


def brazilian_cnpj(chars: Chars) -> Flags:
    """Two check digits modulo 11."""
    weights = (5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    first = weighted(chars, weights) % 11
    second = weighted(chars, (6, *weights)) % 11
    keys = np.where(first < 2, 0, 11 - first), np.where(second < 2, 0, 11 - second)
    return np.asarray((keys[0] == number(chars, 12, 13)) & (keys[1] == number(chars, 13, 14)) & ~same_digit(chars))


def argentine_cuit(chars: Chars) -> Flags:
    """Modulo 11; the first two digits say what one is."""
    rest = 11 - weighted(chars, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    kind = one_of(number(chars, 0, 2), (20, 23, 24, 27, 30, 33, 34))
    return np.asarray(kind & (np.where(rest == 11, 0, np.where(rest == 10, 9, rest)) == number(chars, 10, 11)))


def chilean_rut(chars: Chars) -> Flags:
    """Modulo 11 from the right; K stands for 10."""
    length = chars.shape[1] - 1
    weights = [2 + (length - 1 - place) % 6 for place in range(length)]
    return np.asarray(letter("0123456789K0", 11 - weighted(chars, weights) % 11) == chars[:, -1])


def mexican_curp(chars: Chars) -> Flags:
    """Eighteen characters, the last modulo 10; a date, a sex and a state stand in it."""
    table = np.full(256, 99, np.int64)
    table[np.frombuffer(_CURP.replace("&", "Ñ").encode("latin-1"), np.uint8)] = np.arange(len(_CURP))
    values = table[chars]
    key = (10 - values[:, :17] @ np.arange(18, 1, -1) % 10) % 10
    states = [ord(state[0]) << 8 | ord(state[1]) for state in _MEXICAN_STATES]
    state = one_of(chars[:, 11].astype(np.int64) << 8 | chars[:, 12], states)
    sex = one_of(chars[:, 10].astype(np.int64), [ord(mark) for mark in "HMX"])
    return np.asarray(state & sex & begins_with_date(chars[:, 4:10]) & (key == number(chars, 17, 18)))


def mexican_insurance(chars: Chars) -> Flags:
    """NSS of the IMSS: Luhn over eleven digits."""
    return luhn(chars) & ~same_digit(chars)


def ecuadorian_cedula(chars: Chars) -> Flags:
    """Luhn over ten digits, the province first."""
    province = number(chars, 0, 2)
    return np.asarray(luhn(chars) & ((province >= 1) & (province <= 24) | (province == 30)) & (chars[:, 2] < ord("6")))


def uruguayan_ci(chars: Chars) -> Flags:
    """Weights 2987634 modulo 10."""
    return np.asarray((weighted(chars, (2, 9, 8, 7, 6, 3, 4, 1)) % 10 == 0) & ~same_digit(chars))


def dominican_cedula(chars: Chars) -> Flags:
    """Luhn over eleven digits."""
    return luhn(chars) & ~same_digit(chars)


def routing(chars: Chars) -> Flags:
    """ABA routing number: weights 3 7 1 modulo 10, and the Federal Reserve's districts."""
    district = one_of(number(chars, 0, 2), (*range(13), *range(21, 33), *range(61, 73), 80))
    return np.asarray(district & (weighted(chars, (3, 7, 1) * 3) % 10 == 0) & (digits(chars).sum(1) > 0))


KINDS: tuple[Kind, ...] = (
    Kind(
        "us_ssn",
        "Social Security number",
        "national id",
        "US",
        ("999-99-9999", "999 99 9999", "999999999"),
        social_security,
        0.88,
        ("999-99-9999",),
        " ssn |social sec|socialsec| tin |taxpayer",
    ),
    Kind(
        "us_itin",
        "Individual taxpayer number",
        "tax number",
        "US",
        ("999-99-9999", "999 99 9999", "999999999"),
        taxpayer,
        0.05,
        ("999-99-9999",),
        " itin |taxpayer| tin ",
    ),
    Kind(
        "us_routing",
        "ABA routing number",
        "bank account",
        "US",
        ("999999999",),
        routing,
        0.04,
        (),
        " aba |routing| rtn |transit",
    ),
    Kind(
        "ca_sin",
        "Social Insurance number",
        "national id",
        "CA",
        ("999 999 999", "999-999-999", "999999999"),
        canadian_sin,
        0.08,
        (),
        " sin |social ins|socialins| nas |assurance sociale| ssn ",
    ),
    Kind(
        "br_cpf",
        "CPF",
        "national id",
        "BR",
        ("999.999.999-99", "99999999999", "999999999-99"),
        brazilian_cpf,
        0.01,
        ("999.999.999-99", "999999999-99"),
        " cpf |cadastro| ssn ",
    ),
    Kind(
        "br_cnpj",
        "CNPJ",
        "tax number",
        "BR",
        ("99.999.999/9999-99", "99999999999999"),
        brazilian_cnpj,
        0.01,
        ("99.999.999/9999-99",),
        " cnpj |cadastro",
    ),
    Kind(
        "ar_cuit",
        "CUIT, CUIL",
        "tax number",
        "AR",
        ("99-99999999-9", "99999999999"),
        argentine_cuit,
        0.007,
        ("99-99999999-9",),
        " cuit | cuil ",
    ),
    Kind(
        "cl_rut",
        "RUT",
        "national id",
        "CL",
        ("99.999.999-9", "99.999.999-A", "9.999.999-9", "9.999.999-A", "99999999-9", "99999999-A", "9999999-A"),
        chilean_rut,
        1 / 11,
        ("99.999.999-9", "99.999.999-A", "9.999.999-9", "9.999.999-A", "99999999-A"),
        " rut | run ",
    ),
    Kind(
        "mx_curp",
        "CURP",
        "national id",
        "MX",
        ("AAAA999999AAAAAA99", "AAAA999999AAAAAAA9"),
        mexican_curp,
        0.0005,
        ("AAAA999999AAAAAA99", "AAAA999999AAAAAAA9"),
        " curp ",
    ),
    Kind(
        "mx_nss",
        "Número de seguridad social",
        "national id",
        "MX",
        ("99999999999", "99-99-99-9999-9"),
        mexican_insurance,
        0.1,
        ("99-99-99-9999-9",),
        " nss |imss|seguridad social",
    ),
    Kind(
        "ec_cedula",
        "Cédula",
        "national id",
        "EC",
        ("9999999999", "999999999-9"),
        ecuadorian_cedula,
        0.015,
        (),
        "cédula|cedula| ci ",
    ),
    Kind(
        "uy_ci",
        "Cédula de identidad",
        "national id",
        "UY",
        ("9.999.999-9", "9999999-9", "99999999"),
        uruguayan_ci,
        0.1,
        ("9.999.999-9",),
        "cédula|cedula| ci ",
    ),
    Kind(
        "do_cedula",
        "Cédula",
        "national id",
        "DO",
        ("999-9999999-9", "99999999999"),
        dominican_cedula,
        0.1,
        ("999-9999999-9",),
        "cédula|cedula",
    ),
)
"""Numbers of countries of the Americas."""
