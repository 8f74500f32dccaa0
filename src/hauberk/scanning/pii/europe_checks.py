"""Check digits of Europe's national numbers, from the issuers' published rules."""

from __future__ import annotations

import numpy as np

from hauberk.scanning.pii.checksums import (
    Chars,
    begins_with_date,
    digits,
    is_date,
    letter,
    luhn,
    mod_11_10,
    number,
    one_of,
    same_digit,
    weighted,
)
from hauberk.scanning.pii.groups import Flags

_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
_HETU = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_ITALIAN_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_ITALIAN_MONTHS = "ABCDEHLMPRST"
_PPSN = "WABCDEFGHIJKLMNOPQRSTUV"


def german_tax_id(chars: Chars) -> Flags:
    """§ 139b AO: MOD 11,10, and of the first ten digits one stands twice or three times, no other more than once."""
    counts = np.stack([(digits(chars[:, :10]) == value).sum(1) for value in range(10)], 1)
    most, repeated = counts.max(1), (counts > 1).sum(1)
    return np.asarray(mod_11_10(chars) & (chars[:, 0] != ord("0")) & one_of(most, (2, 3)) & (repeated == 1))


def german_pension(chars: Chars) -> Flags:
    """Versicherungsnummer: area, date of birth, letter, serial, check digit by digit sums (§ 4 VKVV)."""
    initial = chars[:, 8].astype(np.int64) - ord("A") + 1
    plain = np.concatenate([digits(chars[:, :8]), (initial // 10)[:, None], (initial % 10)[:, None]], 1)
    plain = np.concatenate([plain, digits(chars[:, 9:11])], 1)
    product = plain * np.array([2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1])
    total = (product // 10 + product % 10).sum(1)
    return np.asarray((total % 10 == digits(chars)[:, 11]) & begins_with_date(chars[:, 2:8], "ddmmyy"))


def spanish_dni(chars: Chars) -> Flags:
    """The letter is the number modulo 23."""
    return np.asarray(letter(_DNI, number(chars, 0, 8) % 23) == chars[:, 8])


def spanish_nie(chars: Chars) -> Flags:
    """As DNI, with X, Y, Z for 0, 1, 2."""
    first = chars[:, 0].astype(np.int64) - ord("X")
    value = np.clip(first, 0, 2) * 10**7 + number(chars, 1, 8)
    return np.asarray((first >= 0) & (first <= 2) & (letter(_DNI, value % 23) == chars[:, 8]))


def italian_code(chars: Chars) -> Flags:
    """Codice fiscale: DM 23/12/1976, odd and even tables modulo 26."""
    values = np.where(chars >= ord("A"), chars.astype(np.int64) - ord("A"), digits(chars))
    total = np.array(_ITALIAN_ODD)[values[:, 0:15:2]].sum(1) + values[:, 1:15:2].sum(1)
    month = np.isin(chars[:, 8], np.frombuffer(_ITALIAN_MONTHS.encode(), np.uint8))
    day = number(chars, 9, 11) % 40
    fits = (total % 26 == chars[:, 15].astype(np.int64) - ord("A")) & month & (day >= 1) & (day <= 31)
    return np.asarray(fits & (number(chars, 9, 11) <= 71))


def french_nir(chars: Chars) -> Flags:
    """NIR: the key is 97 less the number modulo 97; 2A and 2B of Corsica count as 19 and 18."""
    plain = chars.copy()
    for mark, value in ((b"A", b"19"), (b"B", b"18")):
        island = (chars[:, 5] == ord("2")) & (chars[:, 6] == mark[0])
        plain[island, 5], plain[island, 6] = value[0], value[1]
    month = number(plain, 3, 5)
    sensible = one_of(number(plain, 0, 1), (1, 2, 3, 4, 7, 8)) & (plain <= ord("9")).all(1)
    sensible &= one_of(month, (*range(1, 13), *range(20, 43), *range(50, 100)))
    return np.asarray(sensible & (97 - number(plain, 0, 13) % 97 == number(plain, 13, 15)))


def dutch_bsn(chars: Chars) -> Flags:
    """The elfproef."""
    return np.asarray((weighted(chars, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0) & ~same_digit(chars))


def belgian_register(chars: Chars) -> Flags:
    """Rijksregisternummer: 97 less the first nine digits modulo 97, with 2 before them from the year 2000 on."""
    value, key = number(chars, 0, 9), number(chars, 9, 11)
    month = number(chars, 2, 4) % 20
    fits = (97 - value % 97 == key) | (97 - (value + 2 * 10**9) % 97 == key)
    return np.asarray(fits & (month <= 12) & (number(chars, 4, 6) <= 31))


def portuguese_nif(chars: Chars) -> Flags:
    """Modulo 11 of eight digits."""
    rest = 11 - weighted(chars, (9, 8, 7, 6, 5, 4, 3, 2)) % 11
    first = one_of(number(chars, 0, 1), (1, 2, 3, 5, 6, 8, 9))
    return np.asarray(first & (np.where(rest > 9, 0, rest) == number(chars, 8, 9)))


def polish_pesel(chars: Chars) -> Flags:
    """Weights 1 3 7 9, and a date whose month tells the century."""
    fits = weighted(chars, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0
    return np.asarray(fits & is_date(number(chars, 0, 2), number(chars, 2, 4) % 20, number(chars, 4, 6)))


def polish_nip(chars: Chars) -> Flags:
    """Weights modulo 11."""
    return np.asarray((weighted(chars, (6, 5, 7, 2, 3, 4, 5, 6, 7, -1)) % 11 == 0) & (chars[:, 0] != ord("0")))


def swedish_person(chars: Chars) -> Flags:
    """Luhn over ten digits; the day may carry 60 (samordningsnummer)."""
    ten = chars[:, -10:]
    day = number(ten, 4, 6)
    return luhn(ten) & is_date(number(ten, 0, 2), number(ten, 2, 4), np.where(day > 60, day - 60, day))


def norwegian_person(chars: Chars) -> Flags:
    """Two check digits modulo 11; the day may carry 40 (D-nummer)."""
    first = weighted(chars, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11 == 0
    second = weighted(chars, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0
    day = number(chars, 0, 2)
    return np.asarray(first & second & is_date(number(chars, 4, 6), number(chars, 2, 4) % 40, day % 40))


def danish_cpr(chars: Chars) -> Flags:
    """A date and a serial: the check digit was given up in 2007."""
    return begins_with_date(chars, "ddmmyy") & (number(chars, 6, 10) > 0)


def finnish_hetu(chars: Chars) -> Flags:
    """Nine digits modulo 31 give the last character."""
    value = number(chars, 0, 6) * 1000 + number(chars, 6, 9)
    return np.asarray(begins_with_date(chars, "ddmmyy") & (letter(_HETU, value % 31) == chars[:, 9]))


def finnish_hetu_lettered(chars: Chars) -> Flags:
    """As `finnish_hetu`, with the letter of the century between date and serial (A-F: 2000s, U-Y: 1900s)."""
    century = np.isin(chars[:, 6], np.frombuffer(b"ABCDEFUVWXY", np.uint8))
    return century & finnish_hetu(np.delete(chars, 6, 1))


def icelandic_kennitala(chars: Chars) -> Flags:
    """Modulo 11 of the first nine digits; a day over 40 is a company's."""
    fits = weighted(chars, (3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0
    return np.asarray(fits & begins_with_date(chars, "ddmmyy") & one_of(number(chars, 9, 10), (0, 8, 9)))


def baltic_person(chars: Chars) -> Flags:
    """Isikukood of Estonia, asmens kodas of Lithuania: modulo 11 in two stages."""
    first = weighted(chars, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    second = weighted(chars, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11
    key = np.where(first < 10, first, np.where(second < 10, second, 0))
    born = begins_with_date(chars[:, 1:7]) & one_of(number(chars, 0, 1), range(1, 9))
    return np.asarray(born & (key == number(chars, 10, 11)))


def latvian_code(chars: Chars) -> Flags:
    """Personas kods before 2017: modulo 11 of ten digits; later ones begin with 32 and say nothing."""
    key = (1101 - weighted(chars, (1, 6, 3, 7, 9, 10, 5, 8, 4, 2))) % 11
    old = begins_with_date(chars, "ddmmyy") & (key == number(chars, 10, 11))
    return np.asarray(old | (number(chars, 0, 2) == 32))


def czech_birth_number(chars: Chars) -> Flags:
    """Rodné číslo of ten digits: divisible by 11; women's months carry 50, others 20 or 70."""
    value, month = number(chars, 0, 10), number(chars, 2, 4) % 50
    born = is_date(number(chars, 0, 2), np.where(month > 20, month - 20, month), number(chars, 4, 6))
    return np.asarray(born & ((value % 11 == 0) | ((value // 10 % 11 == 10) & (value % 10 == 0))))


def croatian_oib(chars: Chars) -> Flags:
    """MOD 11,10."""
    return mod_11_10(chars)


def jmbg(chars: Chars) -> Flags:
    """EMŠO and JMBG of the former Yugoslavia: modulo 11, day, month and three digits of the year."""
    key = 11 - weighted(chars, (7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    year = number(chars, 4, 7)
    year = np.where(year >= 800, year + 1000, year + 2000)
    fits = np.where(key > 9, 0, key) == number(chars, 12, 13)
    return np.asarray(fits & is_date(year, number(chars, 2, 4), number(chars, 0, 2)) & (year < 2100))


def romanian_cnp(chars: Chars) -> Flags:
    """Modulo 11, where 10 becomes 1; a date and a county."""
    rest = weighted(chars, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    fits = (np.where(rest == 10, 1, rest) == number(chars, 12, 13)) & (chars[:, 0] != ord("0"))
    county = one_of(number(chars, 7, 9), (*range(1, 53), 70, 80, 81, 82, 83))
    return np.asarray(fits & county & begins_with_date(chars[:, 1:7]))


def bulgarian_egn(chars: Chars) -> Flags:
    """Powers of two modulo 11 modulo 10; months carry 20 or 40 for the century."""
    key = weighted(chars, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10
    born = is_date(number(chars, 0, 2), number(chars, 2, 4) % 20, number(chars, 4, 6))
    return np.asarray(born & (key == number(chars, 9, 10)) & (number(chars, 2, 4) <= 52))


def hungarian_taj(chars: Chars) -> Flags:
    """Social security: weights 3 and 7 modulo 10."""
    return np.asarray(weighted(chars, (3, 7, 3, 7, 3, 7, 3, 7)) % 10 == number(chars, 8, 9)) & ~same_digit(chars)


def hungarian_tax(chars: Chars) -> Flags:
    """Adóazonosító jel: begins with 8; positions modulo 11."""
    return np.asarray((chars[:, 0] == ord("8")) & (weighted(chars, range(1, 10)) % 11 == number(chars, 9, 10)))


def hungarian_personal(chars: Chars) -> Flags:
    """Személyi azonosító: sex and century, a date, and positions modulo 11, the other way round since 1997."""
    values, key = digits(chars[:, :10]), number(chars, 10, 11)
    fits = (values @ np.arange(1, 11) % 11 == key) | (values @ np.arange(10, 0, -1) % 11 == key)
    return np.asarray(fits & begins_with_date(chars[:, 1:7]) & one_of(number(chars, 0, 1), range(1, 9)))


def greek_amka(chars: Chars) -> Flags:
    """Luhn, and a date of birth."""
    return luhn(chars) & begins_with_date(chars, "ddmmyy")


def greek_afm(chars: Chars) -> Flags:
    """Powers of two modulo 11 modulo 10."""
    key = weighted(chars, (256, 128, 64, 32, 16, 8, 4, 2)) % 11 % 10
    return np.asarray((key == number(chars, 8, 9)) & ~same_digit(chars))


def swiss_ahv(chars: Chars) -> Flags:
    """EAN-13 that begins with 756."""
    return np.asarray((number(chars, 0, 3) == 756) & (weighted(chars, (1, 3) * 6 + (1,)) % 10 == 0))


def austrian_insurance(chars: Chars) -> Flags:
    """The fourth digit checks the others modulo 11; the last six are a date of birth (a 13th month where full)."""
    key = weighted(chars, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11
    born = is_date(number(chars, 8, 10), np.minimum(number(chars, 6, 8), 12), number(chars, 4, 6))
    sensible = (chars[:, 0] != ord("0")) & (number(chars, 6, 8) <= 15)
    return np.asarray((key == number(chars, 3, 4)) & born & sensible)


def irish_ppsn(chars: Chars) -> Flags:
    """Modulo 23; a second letter since 2013 counts nine times."""
    total = weighted(chars, (8, 7, 6, 5, 4, 3, 2))
    if chars.shape[1] == 9:
        second = chars[:, 8].astype(np.int64) - ord("A") + 1
        total = total + 9 * np.where(second == 23, 0, second)
    return np.asarray(letter(_PPSN, total % 23) == chars[:, 7])


def british_insurance(chars: Chars) -> Flags:
    """NINO: no check digit; some prefixes are never given out, the suffix is A to D."""
    bad = np.isin(chars[:, :2], np.frombuffer(b"DFIQUV", np.uint8)).any(1) | (chars[:, 1] == ord("O"))
    pairs = chars[:, 0].astype(np.int64) << 8 | chars[:, 1]
    bad |= one_of(pairs, [ord(pair[0]) << 8 | ord(pair[1]) for pair in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")])
    return np.asarray(~bad & (chars[:, 8] >= ord("A")) & (chars[:, 8] <= ord("D")))


def ukrainian_tax(chars: Chars) -> Flags:
    """Modulo 11 modulo 10."""
    return np.asarray(weighted(chars, (-1, 5, 7, 9, 4, 6, 10, 5, 7)) % 11 % 10 == number(chars, 9, 10))


def russian_inn(chars: Chars) -> Flags:
    """A person's INN: two check digits modulo 11 modulo 10."""
    first = weighted(chars, (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10 == number(chars, 10, 11)
    second = weighted(chars, (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10 == number(chars, 11, 12)
    return np.asarray(first & second)


def russian_snils(chars: Chars) -> Flags:
    """The sum by falling weights modulo 101, where 100 counts as 0."""
    key = weighted(chars, (9, 8, 7, 6, 5, 4, 3, 2, 1)) % 101 % 100
    return np.asarray((key == number(chars, 9, 11)) & ~same_digit(chars[:, :9]))
