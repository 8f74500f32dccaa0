"""What a column says as a whole: its own name, the share of its values, and what chance would show."""

from __future__ import annotations

import random

from hauberk.core.tables import FIRST
from hauberk.scanning.pii.columns import PersonalColumns, joined


def pesels(count: int) -> list[str]:
    rng = random.Random(2)
    rows = []
    for _ in range(count):
        body = f"{rng.randrange(100):02d}{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}{rng.randrange(10**4):04d}"
        key = -sum(int(mark) * weight for mark, weight in zip(body, (1, 3, 7, 9) * 3, strict=False)) % 10
        rows.append(body + str(key))
    return rows


def seen(name: str, values: list[str | None], **settings: bool) -> dict[str, int]:
    columns = PersonalColumns(**settings)
    for start in range(0, len(values), 100):
        columns.visit(name, start, values[start : start + 100])
    return {one.kind: one.rows.count for one in columns.seen().get(name, ())}


def test_a_column_of_numbers_that_all_pass_is_what_it_passes():
    found = seen("code", list(pesels(300)))
    assert found["pl_pesel"] >= 280
    assert seen("code", [f"{i * 7919 % 10**11:011d}" for i in range(1, 300)]) == {}


def test_the_columns_name_is_a_word_for_all_of_its_values():
    assert seen("PESEL", pesels(5)) == {"pl_pesel": 5}
    assert seen("pesel_number", pesels(5)) == {"pl_pesel": 5}
    assert seen("date_of_birth", ["1980-02-03", "1999-12-31"]) == {"birth_date_iso": 2}
    assert seen("created", ["1980-02-03", "1999-12-31"]) == {}


def test_random_numbers_show_cards_by_chance_and_a_column_of_them_is_not_cards():
    rng = random.Random(3)
    numbers = [f"4{rng.randrange(10**15):015d}" for _ in range(2000)]
    assert seen("order", numbers).get("card", 0) > 100  # a tenth of numbers of a network's range pass: these are shown
    spread = [f"{rng.randrange(1, 10**16):016d}" for _ in range(2000)]
    assert seen("order", spread) == {}


def test_rows_are_counted_once_named_from_the_first_on_and_across_batches():
    values: list[str | None] = ["x", None, "a@example.org and b@example.org", ""] * 100
    columns = PersonalColumns()
    for start in range(0, 400, 40):
        columns.visit("text", start, values[start : start + 40])
    (one,) = columns.seen()["text"]
    assert (one.kind, one.rows.count, one.certain) == ("email", 100, True)
    assert one.rows.first == tuple(range(2, 2 + 4 * FIRST, 4))


def test_a_column_of_names_is_all_names_once_some_of_them_are_known():
    known, unknown = ["John Smith", "Anna Müller", "Maria Rossi"], ["Xqz Wvut", "Aaa Bbbb"]
    assert seen("full_name", known + unknown) == {"name": 5}
    assert seen("product_title", unknown) == {}
    assert seen("full_name", known + unknown, with_names=False) == {}


def test_names_in_lower_case_are_found_in_columns_called_so():
    known, unknown = ["john smith", "miguel hernandez", "anna kowalski"], ["xqz wvut", "aaa bbbb"]
    column = known * 10 + unknown * 5
    assert seen("name", column) == {"name": 40}
    assert seen("remark", column) == {}
    assert seen("product_name", ["grey widget", "john deere tractor", "blue bolt"] * 20) == {}
    assert seen("first", ["kevon", "maria", "bouthy"] * 20) == {"name": 60}
    assert seen("name", column, with_names=False) == {}


def test_the_rows_of_a_column_of_names_are_its_first_with_a_value():
    columns = PersonalColumns()
    columns.visit("surname", 10, [None, "smith", "", *["hernandez"] * 40])
    (one,) = columns.seen()["surname"]
    assert one.rows.first[:3] == (11, 13, 14)
    assert one.rows.count == 41


def test_values_that_hold_a_zero_byte_stay_values():
    raw, cuts = joined(["a\0b", None, "ü", ""])
    assert raw == "a b\0\0ü\0".encode()
    assert cuts.tolist() == [0, 4, 5, 8]


def test_no_value_is_kept():
    columns = PersonalColumns()
    columns.visit("text", 0, ["canary.person@example.org pays 4111 1111 1111 1111"])
    assert "canary" not in repr(columns.seen()) + repr(columns.__dict__)
    assert "4111" not in repr(columns.seen()) + repr(columns.__dict__)
