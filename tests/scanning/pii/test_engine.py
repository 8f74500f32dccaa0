"""Kinds by published examples, what is none of them, and where things stand."""

from __future__ import annotations

import numpy as np
import pytest

from hauberk.scanning.pii.engine import ALONE, BY_WORD, FORMED, INDEX, KINDS, POSSIBLE, search

PUBLISHED = {
    "card": ("4111 1111 1111 1111", "378282246310005", "5555-5555-5555-4444", "6011000990139424", "3530111333300000"),
    "iban": ("GB82 WEST 1234 5698 7654 32", "DE89370400440532013000", "FR1420041010050500013M02606", "NO9386011117947"),
    "email": ("john.doe+x@example.co.uk", "müller@exämple.de", "o'neil@example.org"),
    "ipv4": ("192.168.1.17", "8.8.8.8"),
    "ipv6": ("2001:db8::8a2e:370:7334", "fe80::1ff:fe23:4567:890a", "2001:0db8:0000:0000:0000:ff00:0042:8329"),
    "mac": ("00:1B:44:11:3A:B7", "00-1b-44-11-3a-b7", "001b.4411.3ab7"),
    "phone": ("+44 20 7946 0958", "(555) 234-5678", "+1 (212) 555-0123 x99", "+33 (0)1 23 45 67 89", "212-555-0123"),
    "bitcoin": ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"),
    "ethereum": ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",),
    "us_ssn": ("536-90-4399",),
    "us_mbi": ("1EG4-TE5-MK73", "1EG4TE5MK73"),
    "br_cpf": ("390.533.447-05",),
    "br_cnpj": ("16.727.230/0001-97",),
    "ar_cuit": ("20-05536168-2",),
    "cl_rut": ("12.531.909-2",),
    "mx_curp": ("BOXW310820HNERXN09",),
    "es_dni": ("54362315K", "54362315-K"),
    "es_nie": ("X2482300W",),
    "it_fiscal_code": ("RCCMNL83S18D969H",),
    "fr_nir": ("2 95 10 99 126 111 93",),
    "fi_hetu": ("131052-308T",),
    "cz_sk_birth": ("710319/2745",),
    "ch_ahv": ("756.9217.0769.85",),
    "sg_identity": ("S1234567D",),
    "in_aadhaar": ("2341 2341 2346",),
    "uk_nino": ("QQ123456C".replace("QQ", "AB"), "AB 12 34 56 C"),
    "vat_de": ("DE136695976",),
    "vat_at": ("ATU13585627",),
    "vat_gb": ("GB980780684",),
    "vat_it": ("IT00743110157",),
}
WITH_A_WORD = {
    "de_tax_id": "Steuer-ID 36574261809",
    "nl_bsn": "BSN: 111222333",
    "be_register": "rijksregisternummer 85073003328",
    "pt_nif": "NIF 501964843",
    "pl_pesel": "PESEL 44051401359",
    "se_person": "personnummer 8803200016",
    "no_person": "fødselsnummer 15108695088",
    "is_kennitala": "kennitala 120174-3399",
    "baltic_person": "isikukood 36805280109",
    "hr_oib": "OIB 33392005961",
    "jmbg": "EMŠO 0101006500006",
    "ro_cnp": "CNP 1630615123457",
    "bg_egn": "EGN 7523169263",
    "gr_amka": "AMKA 01013099997",
    "at_insurance": "SVNR 1237010180",
    "ie_ppsn": "PPS 6433435F",
    "ru_inn": "ИНН 500100732259",
    "ru_snils": "СНИЛС 112-233-445 95",
    "ca_sin": "SIN 123-456-782",
    "us_routing": "routing 111000025",
    "us_npi": "NPI 1234567893",
    "us_dea": "DEA F91234563".replace("F9", "AP"),
    "uk_nhs": "NHS number 943 476 5870",
    "tr_tckn": "TC kimlik no 17291716060",
    "il_identity": "teudat zehut 039337423",
    "za_identity": "RSA identity 7503305044089",
    "cn_resident": "身份证 360426199101010071",
    "tw_identity": "身分證 A123456789",
    "hk_identity": "HKID A123456(3)",
    "kr_resident": "주민등록번호 971013-9019902",
    "jp_individual": "個人番号 6214 9832 0257",
    "th_identity": "national id 1-2345-45678-78-1",
    "au_tfn": "TFN 123 456 782",
    "nz_ird": "IRD 49-091-850",
    "birth_date": "born 31/12/1980",
    "birth_date_iso": "DOB: 1980-12-31",
    "phone": "tel 0123 456789",
}
NOBODYS = (
    "550e8400-e29b-41d4-a716-446655440000",
    "released as version 1.2.3.4, then v1.2.3.4.5 and 10.20.30",
    "at 1699999999999 and 2024-01-02T03:04:05.123456Z",
    "4111 1111 1111 1112 and 4111111111111112",
    "GB82 WEST 1234 5698 7654 33",
    "000-12-3456, 666-12-3456, 900-12-3456 and 123-45-6789",
    "std::vector<int>::iterator, left@1.2.3 and @override",
    "1234 items for 12,345.67 on 31/12/1980",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",
    "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3",
    "1111 1111 1111 1111",
)


def certain(text: str) -> list[tuple[str, str]]:
    raw = text.encode()
    found = search(raw).certain()
    rows = zip(found.kinds, found.starts, found.ends, strict=True)
    return [(KINDS[kind].name, raw[start:end].decode()) for kind, start, end in rows]


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in PUBLISHED.items() for value in values])
def test_a_published_example_is_found_whole_wherever_it_stands(kind, value):
    for frame in ("{}", "x {} y", "({})", '"{}",', "=  {}.\n"):
        assert (kind, value) in certain(frame.format(value)), frame


@pytest.mark.parametrize(("kind", "text"), WITH_A_WORD.items())
def test_a_number_that_could_be_anything_counts_beside_its_word(kind, text):
    assert kind in [name for name, _ in certain(text)]


@pytest.mark.parametrize("text", NOBODYS)
def test_what_is_nobodys_is_left_alone(text):
    assert not certain(text)


def test_a_number_without_its_word_is_possible_and_no_more():
    found = search(b"44051401359")
    assert [KINDS[kind].name for kind in found.kinds] == ["pl_pesel"]
    assert found.sure.tolist() == [POSSIBLE]
    assert search(b"44051401359", "PESEL").sure.tolist() == [BY_WORD]


def test_the_word_before_an_earlier_number_is_not_the_later_ones_but_in_a_list_it_is():
    assert [value for _, value in certain("tel 0586 979548 at 1683132213")] == ["0586 979548"]
    assert [value for _, value in certain("tel 0586 979548, 0586 979549 and 0586 979550")] == [
        "0586 979548",
        "0586 979549",
        "0586 979550",
    ]


def test_values_do_not_speak_for_each_other_across_a_zero_byte_or_a_line():
    for mark in "\0\n":
        assert not certain(f"PESEL{mark}44051401359")


def test_nothing_overlaps_and_all_is_in_order():
    text = " ".join(value for values in PUBLISHED.values() for value in values)
    found = search(text.encode())
    assert (found.starts[1:] >= found.ends[:-1]).all()
    assert set(found.sure.tolist()) <= {POSSIBLE, BY_WORD, ALONE}


def test_a_long_text_gives_what_its_pieces_give():
    line = "pay 4111 1111 1111 1111 or write to a.b@example.org\n"
    found = search((line * 9000).encode()).certain()
    assert len(found.kinds) == 18000
    assert (np.diff(found.starts[::2]) == len(line)).all()


@pytest.mark.parametrize("raw", [b"", b"\0", b"\n\n", b"@", b":::::", b"+", b"\xff\xfe\xc3", b"9" * 5000, b"1-" * 3000])
def test_odd_bytes_are_read_without_harm(raw):
    assert not len(search(raw, with_names=True).certain().kinds)


def test_random_numbers_pass_a_check_as_seldom_as_the_kind_says():
    rng = np.random.default_rng(1)
    for kind in FORMED:
        form = max(kind.forms, key=lambda one: (one.count("A") == 0, len(one)))
        assert kind.check is not None
        if "A" in form or kind.chance > 0.5:
            continue
        chars = rng.integers(48, 58, (20000, form.count("9")), dtype=np.uint8)
        share = float(kind.check(chars).mean())
        assert share <= 2.5 * kind.chance + 0.002, (kind.name, share)


def test_every_kind_has_a_name_of_its_own_and_words_in_lower_case():
    assert len(INDEX) == len(KINDS)
    for kind in KINDS:
        assert kind.words == kind.words.lower()
        assert set(kind.alone) <= set(kind.forms)
