"""National and tax numbers of Asia, Africa and Oceania, from the issuers' published rules."""

from __future__ import annotations

import numpy as np

from hauberk.scanning.pii.checksums import (
    Chars,
    Check,
    begins_with_date,
    digits,
    is_date,
    letter,
    luhn,
    mod_11_2,
    number,
    one_of,
    same_digit,
    verhoeff,
    weighted,
)
from hauberk.scanning.pii.groups import Flags
from hauberk.scanning.pii.kinds import Kind

_TAIWAN = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
_SINGAPORE = {"S": "JZIHGFEDCBA", "T": "GFEDCBAJZIH", "F": "XWUTRQPNMLK", "G": "RQPNMLKXWUT", "M": "KLJNPQRTUWX"}


def turkish_identity(chars: Chars) -> Flags:
    """TCKN: the tenth digit from odd and even places, the last from the sum of ten."""
    values = digits(chars)
    tenth = (7 * values[:, 0:9:2].sum(1) - values[:, 1:8:2].sum(1)) % 10
    fits = (values[:, 0] > 0) & (tenth == values[:, 9]) & (values[:, :10].sum(1) % 10 == values[:, 10])
    return np.asarray(fits)


def israeli_identity(chars: Chars) -> Flags:
    """Teudat zehut: Luhn over nine digits."""
    return luhn(chars) & ~same_digit(chars)


def south_african_identity(chars: Chars) -> Flags:
    """Luhn, a date of birth, citizenship 0 to 2."""
    return luhn(chars) & begins_with_date(chars) & (chars[:, 10] <= ord("2"))


def aadhaar(chars: Chars) -> Flags:
    """Verhoeff; neither 0 nor 1 first."""
    return verhoeff(chars) & (chars[:, 0] > ord("1"))


def indian_pan(chars: Chars) -> Flags:
    """The fourth letter is the holder's kind; the check letter's rule is not published."""
    return one_of(chars[:, 3].astype(np.int64), [ord(mark) for mark in "PCHABGJLFT"])


def chinese_identity(chars: Chars) -> Flags:
    """GB 11643: MOD 11-2, and a date of birth."""
    year = number(chars, 6, 10)
    born = is_date(year, number(chars, 10, 12), number(chars, 12, 14)) & (year >= 1880) & (year < 2100)
    return mod_11_2(chars) & born & one_of(number(chars, 0, 1), range(1, 9))


def taiwanese_identity(chars: Chars) -> Flags:
    """A letter that counts as two digits, then weights modulo 10."""
    places = np.zeros(256, np.int64)
    places[np.frombuffer(_TAIWAN.encode(), np.uint8)] = np.arange(10, 36)
    first = places[chars[:, 0]]
    total = first // 10 + first % 10 * 9 + weighted(chars, (8, 7, 6, 5, 4, 3, 2, 1, 1), 1)
    return np.asarray((total % 10 == 0) & one_of(number(chars, 1, 2), (1, 2, 8, 9)))


def hong_kong_identity(chars: Chars) -> Flags:
    """HKID: letters count from 10, weights from 9 down, modulo 11, where A is 10."""
    letters = chars.shape[1] - 7
    values = np.where(chars >= ord("A"), chars.astype(np.int64) - ord("A") + 10, digits(chars))
    values[:, -1] = np.where(chars[:, -1] == ord("A"), 10, digits(chars)[:, -1])
    total = values[:, letters:] @ np.arange(7, 0, -1) + values[:, letters - 1] * 8
    total = total + (values[:, 0] if letters == 2 else 36) * 9
    return np.asarray((total % 11 == 0) & (values[:, -1] <= 10))


def singaporean_identity(chars: Chars) -> Flags:
    """NRIC and FIN: weights 2765432, an offset by the first letter, the last letter from its own row."""
    fits = np.zeros(len(chars), np.bool_)
    total = weighted(chars, (2, 7, 6, 5, 4, 3, 2), 1)
    for mark, row in _SINGAPORE.items():
        rest = (total + (3 if mark == "M" else 0)) % 11
        rest = 10 - rest if mark == "M" else rest
        fits |= (chars[:, 0] == ord(mark)) & (letter(row, rest) == chars[:, 8])
    return fits


def korean_resident(chars: Chars) -> Flags:
    """Modulo 11; given out at random since October 2020, so that newer numbers may fail."""
    key = (11 - weighted(chars, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10
    return np.asarray((key == number(chars, 12, 13)) & begins_with_date(chars) & (chars[:, 6] != ord("0")))


def korean_new(chars: Chars) -> Flags:
    """As given out since October 2020: a date of birth and a digit for sex and century, the rest at random."""
    return begins_with_date(chars) & (chars[:, 6] >= ord("1")) & (chars[:, 6] <= ord("8"))


def japanese_individual(chars: Chars) -> Flags:
    """My Number: weights 2 to 7 and 2 to 6 from the right, modulo 11."""
    rest = weighted(chars, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return np.asarray((np.where(rest <= 1, 0, 11 - rest) == number(chars, 11, 12)) & ~same_digit(chars))


def thai_identity(chars: Chars) -> Flags:
    """Weights 13 to 2 modulo 11."""
    key = (11 - weighted(chars, range(13, 1, -1)) % 11) % 10
    return np.asarray((key == number(chars, 12, 13)) & (chars[:, 0] != ord("0")) & ~same_digit(chars))


def kazakh_identity(chars: Chars) -> Flags:
    """IIN: modulo 11 in two stages, and a date of birth."""
    first = weighted(chars, range(1, 12)) % 11
    second = weighted(chars, (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2)) % 11
    key = np.where(first == 10, second, first)
    return np.asarray((key == number(chars, 11, 12)) & begins_with_date(chars) & (chars[:, 6] <= ord("6")))


def australian_tax(chars: Chars) -> Flags:
    """TFN: weights modulo 11."""
    return np.asarray((weighted(chars, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0) & ~same_digit(chars))


def australian_business(chars: Chars) -> Flags:
    """ABN: one less at the first digit, weights modulo 89."""
    total = weighted(chars, (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)) - 10
    return np.asarray((total % 89 == 0) & (chars[:, 0] != ord("0")))


def new_zealand_tax(chars: Chars) -> Flags:
    """IRD: weights modulo 11, other weights where the first give 10."""
    eight = chars if chars.shape[1] == 9 else np.concatenate([np.full((len(chars), 1), ord("0"), np.uint8), chars], 1)
    first = -weighted(eight, (3, 2, 7, 6, 5, 4, 3, 2)) % 11
    second = -weighted(eight, (7, 4, 3, 2, 5, 2, 7, 6)) % 11
    value = number(eight, 0, 9)
    key = np.where(first == 10, second, first)
    return np.asarray((key == number(eight, 8, 9)) & (value > 10_000_000) & (value < 150_000_000))


def malaysian_identity(chars: Chars) -> Flags:
    """MyKad: a date and a place of birth; there is no check digit."""
    return begins_with_date(chars) & one_of(
        number(chars, 6, 8), (*range(1, 17), *range(21, 60), 71, 72, 74, *range(82, 94))
    )


def _national(
    name: str, title: str, country: str, forms: tuple[str, ...], check: Check, chance: float, words: str, *alone: str
) -> Kind:
    return Kind(name, title, "national id", country, forms, check, chance, alone, words)


KINDS: tuple[Kind, ...] = (
    _national("tr_tckn", "T.C. Kimlik No", "TR", ("99999999999",), turkish_identity, 0.009, " tc |tckn|kimlik| t c "),
    _national(
        "il_identity",
        "Teudat zehut",
        "IL",
        ("999999999", "99999999-9"),
        israeli_identity,
        0.1,
        "teudat|zehut|תז|תעודת|זהות",
    ),
    _national(
        "za_identity",
        "Identity number",
        "ZA",
        ("9999999999999", "999999 9999 999"),
        south_african_identity,
        0.003,
        " rsa |identity| id |south afr",
        "999999 9999 999",
    ),
    _national(
        "in_aadhaar",
        "Aadhaar",
        "IN",
        ("9999 9999 9999", "9999-9999-9999", "999999999999"),
        aadhaar,
        0.08,
        "aadhaar|aadaar| uidai | uid |आधार",
        "9999 9999 9999",
        "9999-9999-9999",
    ),
    Kind(
        "in_pan",
        "Permanent account number",
        "tax number",
        "IN",
        ("AAAAA9999A",),
        indian_pan,
        0.38,
        (),
        " pan |permanent acc|income tax",
    ),
    _national(
        "cn_resident",
        "居民身份证",
        "CN",
        ("999999999999999999", "99999999999999999A"),
        chinese_identity,
        0.001,
        "身份|resident|identity",
        "999999999999999999",
        "99999999999999999A",
    ),
    _national(
        "tw_identity",
        "國民身分證",
        "TW",
        ("A999999999",),
        taiwanese_identity,
        0.04,
        "身分|身份| roc |identity|national",
    ),
    _national(
        "hk_identity",
        "HKID",
        "HK",
        ("A999999(9)", "AA999999(9)", "A9999999", "A999999A", "AA9999999"),
        hong_kong_identity,
        0.09,
        "hkid|hong kong|身份",
    ),
    _national(
        "sg_identity",
        "NRIC, FIN",
        "SG",
        ("A9999999A",),
        singaporean_identity,
        0.01,
        "nric| fin |singapore",
        "A9999999A",
    ),
    _national(
        "kr_resident",
        "주민등록번호",
        "KR",
        ("999999-9999999", "9999999999999"),
        korean_resident,
        0.003,
        "주민| rrn |resident",
        "999999-9999999",
    ),
    _national("kr_resident_new", "주민등록번호", "KR", ("999999-9999999",), korean_new, 0.03, "주민| rrn |resident"),
    _national(
        "jp_individual",
        "個人番号",
        "JP",
        ("999999999999", "9999 9999 9999", "9999-9999-9999"),
        japanese_individual,
        0.09,
        "個人番号|マイナンバ|my number|mynumber",
    ),
    _national(
        "th_identity",
        "เลขประจำตัวประชาชน",
        "TH",
        ("9-9999-99999-99-9", "9999999999999", "9 9999 99999 99 9"),
        thai_identity,
        0.09,
        "ประชาชน|thai|national id",
        "9-9999-99999-99-9",
        "9 9999 99999 99 9",
    ),
    _national("kz_iin", "IIN", "KZ", ("999999999999",), kazakh_identity, 0.003, " iin | иин |жсн"),
    Kind(
        "au_tfn",
        "Tax file number",
        "tax number",
        "AU",
        ("999 999 999", "999999999", "999-999-999"),
        australian_tax,
        0.09,
        (),
        " tfn |tax file",
    ),
    Kind(
        "au_abn",
        "Business number",
        "tax number",
        "AU",
        ("99 999 999 999", "99999999999"),
        australian_business,
        0.011,
        ("99 999 999 999",),
        " abn |business n",
    ),
    Kind(
        "nz_ird",
        "IRD number",
        "tax number",
        "NZ",
        ("99-999-999", "999-999-999", "99999999", "999999999"),
        new_zealand_tax,
        0.09,
        (),
        " ird |inland rev",
    ),
    _national(
        "my_identity",
        "MyKad",
        "MY",
        ("999999-99-9999", "999999999999"),
        malaysian_identity,
        0.01,
        "mykad| nric |kad pengenalan| ic ",
        "999999-99-9999",
    ),
)
"""Numbers of countries of Asia, Africa and Oceania."""
