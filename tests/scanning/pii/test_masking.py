"""Redaction, masks and keyed pseudonyms."""

from __future__ import annotations

import re

import pytest

from hauberk.scanning.pii.columns import PersonalColumns
from hauberk.scanning.pii.engine import search
from hauberk.scanning.pii.masking import Masker, masked

KEY = bytes(range(32))
TEXT = "Mr. John Smith <john.smith@example.org> pays 4111 1111 1111 1111 to DE89370400440532013000."


def test_redaction_says_what_stood_there():
    assert Masker("redact").text(TEXT) == "Mr. [NAME] <[EMAIL]> pays [CARD] to [BANK_ACCOUNT]."


def test_a_mask_keeps_the_last_quarter_at_most_and_the_form():
    assert masked("4111 1111 1111 1111") == "**** **** **** 1111"
    assert masked("ab") == "**"
    assert Masker("mask").text("write to a.b@example.org") == "write to *.*@*******.org"


def test_the_same_value_gets_the_same_pseudonym_however_it_is_written_and_another_key_another_one():
    masker = Masker("pseudonym", KEY)
    one, two = masker.text("4111 1111 1111 1111"), masker.text("4111-1111-1111-1111")
    assert one == two
    assert re.fullmatch(r"card_[a-z2-7]{10}", one)
    assert Masker("pseudonym", KEY[::-1]).text("4111 1111 1111 1111") != one
    assert masker.text("378282246310005") != one


def test_a_pseudonym_in_the_same_form_keeps_digits_letters_and_marks_and_is_no_card():
    masker = Masker("pseudonym", KEY, keep_format=True)
    changed = masker.text("pay 4111-1111-1111-1111 now")
    assert re.fullmatch(r"pay \d{4}-\d{4}-\d{4}-\d{4} now", changed)
    assert "4111-1111-1111-1111" not in changed
    assert masker.text("pay 4111-1111-1111-1111 now") == changed


def test_nothing_is_found_in_what_was_redacted():
    assert not len(search(Masker("redact").text(TEXT).encode()).certain().kinds)


def test_a_whole_column_is_masked_where_it_was_told_by_its_share():
    values = [f"{number:011d}" for number in (44051401359, 44051401359) * 20]
    columns = PersonalColumns()
    columns.visit("code", 0, values)
    masker = Masker("redact")
    assert masker.batch("code", values, columns).texts == ["[NATIONAL_ID]"] * 40
    assert masker.batch("code", values).texts == values


def test_missing_values_and_counts():
    done = Masker("mask").batch("x", [None, "", "a@example.org", "none"])
    assert done.texts[0] is None
    assert (done.texts[1], done.texts[3], done.replaced) == ("", "none", 1)
    assert Masker("mask").batch("x", []).texts == []


def test_a_key_that_is_short_is_refused():
    with pytest.raises(ValueError, match="16 bytes"):
        Masker("pseudonym", b"short")
