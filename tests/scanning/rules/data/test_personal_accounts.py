"""Columns with personal data of these kinds are reported by row, others are not."""

from __future__ import annotations

from hauberk.core.tables import Rows
from hauberk.scanning.rules.data.personal_accounts import PersonalAccounts
from hauberk.scanning.tables.facts import Saying, TableFacts


def table(kind: str, *, certain: bool = True) -> TableFacts:
    saying = Saying(column="text", kind=kind, rows=Rows(count=7, first=(2, 5, 6)), certain=certain)
    return TableFacts(path="people.csv", kind="csv", rows=10, sayings=(saying,))


def test_bad():
    (found,) = PersonalAccounts().check(table("personal:card"))
    assert "stands in text in 7 rows: rows 2, 5, 6 and 4 more" in found.message
    assert (found.column, found.rows.first, found.confidence) == ("text", (2, 5, 6), "high")
    (doubtful,) = PersonalAccounts().check(table("personal:card", certain=False))
    assert doubtful.confidence == "medium"


def test_good():
    assert not list(PersonalAccounts().check(TableFacts(path="a.csv", kind="csv", rows=10)))


def test_other_kinds_are_other_rules():
    for kind in ("personal:email", "secret:AWS access key", "hidden:orders", "personal:no_such_kind"):
        assert not list(PersonalAccounts().check(table(kind)))
