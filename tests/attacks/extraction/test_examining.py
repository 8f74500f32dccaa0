"""The examiner of theft: prices, the budget at which a copy is as good, and a run that goes on."""

from __future__ import annotations

import msgspec
import pytest
import torch

from hauberk.attacks.examining_extraction import Point, as_good, examine_extraction
from hauberk.attacks.extraction.knockoff import Knockoff
from hauberk.attacks.extraction_meter import Account
from hauberk.core.errors import DataError, TargetTimeout
from hauberk.core.evidence import Checkpoint, Measurement, Skipped
from hauberk.core.threat import Threat

THEFT = Threat(name="t", family="extraction", knowledge="score", queries=200)
QUICK = Knockoff(width=2, steps=30)


class Failing:
    """Answers so many inputs, then times out."""

    def __init__(self, inner, most: int) -> None:
        self._inner, self.left, self.spec = inner, most, inner.spec

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.left:
            raise TargetTimeout("no answer in 5 s", fix="try again")
        self.left -= len(x)
        return self._inner.predict(x)


def named(entries, name, role="diagnostic"):
    return [entry for entry in entries if isinstance(entry, Measurement) and (entry.name, entry.role) == (name, role)]


def test_prices_are_queries_times_price(table, table_net, stamp) -> None:
    entries = list(examine_extraction(table_net, table, Knockoff(width=4), THEFT, stamp=stamp, price=0.25))
    (whole,) = named(entries, "extraction_price")
    assert (whole.value, whole.unit) == (50.0, "price")
    (queries,) = named(entries, "extraction_queries_as_good")
    (price,) = named(entries, "extraction_price_as_good")
    assert price.value == queries.value / 4
    (foreseen,) = named(entries, "extraction_agreement_foreseen")
    (agreement,) = named(entries, "extraction_agreement", "headline")
    assert abs(foreseen.value - agreement.value) < 0.1
    free = list(examine_extraction(table_net, table, QUICK, THEFT, stamp=stamp))
    assert not named(free, "extraction_price")


@pytest.mark.parametrize("price", [-1.0, float("nan"), float("inf")])
def test_a_price_that_is_none_is_refused(table, table_net, stamp, price) -> None:
    with pytest.raises(DataError, match="price"):
        list(examine_extraction(table_net, table, QUICK, THEFT, stamp=stamp, price=price))


def points(*rights: int) -> list[Point]:
    hits = [torch.arange(100) < right for right in rights]
    return [Point(100 * 2**index, hit, hit) for index, hit in enumerate(hits)]


def test_as_good_is_measured_foreseen_or_unknown() -> None:
    assert as_good(points(80, 90, 95), 0.95) == (400.0, "measured: accuracy within 1% of the model's 0.950")
    queries, how = as_good(points(60, 80, 90), 0.95)
    assert how.startswith("foreseen")
    assert 400 < queries < 4000
    assert as_good(points(60, 61, 61), 0.95) is None
    assert as_good(points(60, 80), 0.95) is None


def test_an_endpoint_that_fails_midway_is_paid_once(table, table_net, stamp) -> None:
    held = len(table.test.y) - len(table.test.y) // 2
    book = Account("key")
    broken = list(examine_extraction(Failing(table_net, held + 70), table, QUICK, THEFT, stamp=stamp, book=book))
    assert [entry.reason for entry in broken if isinstance(entry, Skipped)] == ["no answer in 5 s"]
    states = {entry.part: entry.state for entry in broken if isinstance(entry, Checkpoint)}
    assert list(states) == [0, 1]
    assert {entry.step for entry in broken if isinstance(entry, Checkpoint)} == {"key"}

    resumed = Account.resumed("key", states)
    assert len(resumed.paid) == 50
    target = Failing(table_net, 10_000)
    entries = list(examine_extraction(target, table, QUICK, THEFT, stamp=stamp, book=resumed))
    before = table_net.asked
    whole = list(examine_extraction(table_net, table, QUICK, THEFT, stamp=stamp))
    assert 10_000 - target.left == table_net.asked - before - 50
    assert [entry for entry in entries if not isinstance(entry, Checkpoint)] == whole
    assert min(entry.part for entry in entries if isinstance(entry, Checkpoint)) == 2


def test_damaged_answers_are_asked_anew() -> None:
    good = '{"keys":["00ff"],"rows":"AACAPwAAAEA=","width":2}'
    book = Account.resumed("key", {0: "{", 1: good, 2: '{"keys":["00"],"rows":"AAA","width":2}'})
    assert [key.hex() for key in book.paid] == ["00ff"]
    assert book.paid[b"\x00\xff"].tolist() == [1.0, 2.0]
    assert (book.part, book.saved) == (3, 1)


def test_a_second_attack_of_one_run_asks_nothing_twice(table, table_net, stamp) -> None:
    book = Account()
    list(examine_extraction(table_net, table, QUICK, THEFT, stamp=stamp, book=book))
    before, held = table_net.asked, len(table.test.y) - len(table.test.y) // 2
    labels = msgspec.structs.replace(THEFT, queries=100)
    list(examine_extraction(table_net, table, Knockoff(width=3, steps=20), labels, stamp=stamp, book=book))
    assert table_net.asked - before == held
