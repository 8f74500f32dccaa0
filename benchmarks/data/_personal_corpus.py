"""A corpus of personal data with its places, from Faker's generators in many locales, and of numbers that are none."""

from __future__ import annotations

import random
import uuid
from typing import NamedTuple

from faker import Faker

IDENTITIES = {
    "he_IL": "Teudat zehut",
    "th_TH": "เลขประจำตัวประชาชน",
    "cs_CZ": "Rodné číslo",
    "de_AT": "Sozialversicherungsnummer",
    "de_CH": "AHV-Nummer",
    "de_DE": "Versicherungsnummer",
    "el_GR": "AMKA",
    "en_CA": "SIN",
    "en_US": "SSN",
    "es_ES": "DNI",
    "es_MX": "NSS",
    "et_EE": "Isikukood",
    "fi_FI": "Henkilötunnus",
    "fr_FR": "Numéro de sécurité sociale",
    "hr_HR": "OIB",
    "hu_HU": "Személyi szám",
    "it_IT": "Codice fiscale",
    "ko_KR": "주민등록번호",
    "lv_LV": "Personas kods",
    "nl_BE": "Rijksregisternummer",
    "nl_NL": "BSN",
    "no_NO": "Fødselsnummer",
    "pl_PL": "PESEL",
    "pt_BR": "CPF",
    "ro_RO": "CNP",
    "sv_SE": "Personnummer",
    "tr_TR": "T.C. Kimlik No",
    "zh_CN": "身份证",
    "zh_TW": "身分證",
}
"""Locales whose `ssn` is a number with a published rule, and what it is called there."""
PHONES = [
    "en_US",
    "en_GB",
    "en_CA",
    "en_AU",
    "en_IN",
    "de_DE",
    "de_AT",
    "de_CH",
    "fr_FR",
    "es_ES",
    "es_MX",
    "it_IT",
    "pt_BR",
    "pt_PT",
    "nl_NL",
    "nl_BE",
    "pl_PL",
    "cs_CZ",
    "sk_SK",
    "sv_SE",
    "no_NO",
    "da_DK",
    "fi_FI",
    "hu_HU",
    "ro_RO",
    "bg_BG",
    "el_GR",
    "tr_TR",
    "ru_RU",
    "uk_UA",
    "hr_HR",
    "sl_SI",
    "ja_JP",
    "ko_KR",
    "zh_CN",
    "zh_TW",
    "th_TH",
    "he_IL",
]
BANKS = [
    "en_GB",
    "de_DE",
    "fr_FR",
    "es_ES",
    "it_IT",
    "nl_NL",
    "pl_PL",
    "de_AT",
    "de_CH",
    "no_NO",
    "fi_FI",
    "pt_PT",
    "el_GR",
    "tr_TR",
]
FAMILIES = {
    "card": "card",
    "iban": "bank account",
    "email": "e-mail",
    "phone": "phone",
    "ipv4": "network address",
    "ipv6": "network address",
    "mac": "network address",
    "identity": "national id",
    "birth": "date of birth",
}
"""What the corpus holds → the family it is counted by."""
_FRAMES = {
    "card": ("Paid with card {}.", "Visa {} was declined", "{} expires next year", "cc={};"),
    "iban": ("Please transfer to {}.", "IBAN: {}", "account {} at the bank"),
    "email": ("Write to {} today.", "<{}>", "contact: {};", "mailto:{}"),
    "phone": ("Phone: {}", "call {} after five", "Tel. {}", "mobile {}.", "my phone number is {}, thanks"),
    "ipv4": ("login from {} failed", "host {} is up", "[{}] GET /"),
    "ipv6": ("login from {} failed", "addr {} up"),
    "mac": ("device {} joined", "ether {}"),
    "birth": ("born on {}", "Date of birth: {}", "DOB {}"),
}


class Piece(NamedTuple):
    """One value in a document. start, end: of its bytes in UTF-8."""

    family: str
    start: int
    end: int


class Document(NamedTuple):
    """A text and what personal data stands in it."""

    text: str
    pieces: tuple[Piece, ...]


class Corpus:
    """Draws documents; the same seed gives the same ones with the same version of Faker."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        locales = sorted({*IDENTITIES, *PHONES, *BANKS})
        self.fakers = {locale: Faker(locale) for locale in locales}
        for place, faker in enumerate(self.fakers.values()):
            faker.seed_instance(seed * 1000 + place)

    def value(self, kind: str) -> tuple[str, str]:
        """Draw a value and the sentence it stands in."""
        frame = self.rng.choice(_FRAMES[kind]) if kind in _FRAMES else ""
        if kind == "identity":
            locale = self.rng.choice(sorted(IDENTITIES))
            value = self.fakers[locale].ssn()
            while locale == "hu_HU" and len(value) != 11:  # one in a few has a month of three digits
                value = self.fakers[locale].ssn()
            return value, IDENTITIES[locale] + self.rng.choice((": {}", " {}", " = {},"))
        if kind == "phone":
            return self.fakers[self.rng.choice(PHONES)].phone_number(), frame
        if kind == "iban":
            value = self.fakers[self.rng.choice(BANKS)].iban()
            spaced = " ".join(value[i : i + 4] for i in range(0, len(value), 4))
            return self.rng.choice((value, spaced)), frame
        one = self.fakers["en_US"]
        if kind == "card":
            value = one.credit_card_number(self.rng.choice(("visa16", "mastercard", "amex", "discover", "diners")))
            grouped = " ".join(value[i : i + 4] for i in range(0, 16, 4)) if len(value) == 16 else value
            return self.rng.choice((value, grouped, grouped.replace(" ", "-"))), frame
        if kind == "birth":
            shape = self.rng.choice(("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y"))
            return one.date_of_birth().strftime(shape), frame
        makers = {"ipv4": one.ipv4, "ipv6": one.ipv6, "mac": one.mac_address}
        if kind == "email":
            return self.fakers[self.rng.choice(sorted(self.fakers))].email(), frame
        return makers[kind](), frame

    def decoy(self) -> str:
        """Draw a text with numbers that are nobody's."""
        rng = self.rng
        draws = (
            lambda: f"order {rng.randrange(10**9, 10**10)} shipped",
            lambda: f"request {uuid.UUID(int=rng.getrandbits(128), version=4)} done",
            lambda: (
                f"at {rng.randrange(1_500_000_000, 1_700_000_000)} and {rng.randrange(1_500_000_000_000, 1_700_000_000_000)}"
            ),
            lambda: f"version {rng.randrange(9)}.{rng.randrange(20)}.{rng.randrange(20)}.{rng.randrange(99)} released",
            lambda: f"sha256 {rng.getrandbits(256):064x}",
            lambda: f"the price rose from {rng.uniform(1, 9e5):,.2f} to {rng.uniform(1, 9e6):.3f}",
            lambda: (
                f"on {rng.randrange(1, 29):02d}/{rng.randrange(1, 13):02d}/{rng.randrange(1990, 2025)} at {rng.randrange(24):02d}:{rng.randrange(60):02d}:{rng.randrange(60):02d}"
            ),
            lambda: (
                f"log 2024-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}T12:{rng.randrange(60):02d}:01.{rng.randrange(10**6):06d}Z"
            ),
            lambda: f"ref {self._wrong_card()}",
            lambda: f"GB{rng.randrange(2, 98):02d} is no account, nor is XX{rng.randrange(10**16):016d}",
            lambda: f"at {rng.uniform(-90, 90):.6f}, {rng.uniform(-180, 180):.6f}",
            lambda: (
                f"pages {rng.randrange(100)}-{rng.randrange(100, 900)}, section {rng.randrange(9)}.{rng.randrange(9)}"
            ),
            lambda: f"std::vector<int>::iterator @override npm i left@{rng.randrange(9)}.{rng.randrange(9)}.0",
            lambda: f"ticket {rng.randrange(10**6, 10**7)}-{rng.randrange(10)} batch {rng.randrange(10**11, 10**12)}",
            lambda: (
                f"a ratio of {rng.randrange(900)}:{rng.randrange(900)} over {rng.randrange(10**5)} rows {rng.random():.12f}"
            ),
        )
        return rng.choice(draws)()

    def _wrong_card(self) -> str:
        """Sixteen digits of a card network whose check digit is wrong."""
        body = f"4{self.rng.randrange(10**14):014d}"
        twice = [int(mark) * (2 if place % 2 == 0 else 1) for place, mark in enumerate(body)]
        right = -sum(value // 10 + value % 10 for value in twice) % 10
        return body + str((right + self.rng.randrange(1, 10)) % 10)

    def document(self) -> Document:
        """Draw a text of a few sentences."""
        text, pieces = "", []
        for _ in range(self.rng.randrange(1, 4)):
            kind = self.rng.choice(sorted(FAMILIES))
            value, frame = self.value(kind)
            before, after = frame.split("{}")
            text += self.fakers["en_US"].sentence(self.rng.randrange(4, 12)) + " " + before
            start = len(text.encode())
            pieces.append(Piece(FAMILIES[kind], start, start + len(value.encode())))
            text += value + after + " "
            if self.rng.random() < 0.5:
                text += self.decoy() + ". "
        return Document(text.replace("\n", " "), tuple(pieces))
