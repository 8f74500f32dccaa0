"""BadNets: exact poison rate, a trigger inside the bounds, inputs left alone, and a backdoor that really opens."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hauberk.attacks.examining_poisoning import examine_poisoning
from hauberk.attacks.poisoning.badnets import BadNets
from hauberk.core.encoding import canonical, decode_entry
from hauberk.core.errors import DataError, TargetError, UsageError
from hauberk.core.evidence import Entry, Exhibit, Measurement, Skipped
from hauberk.core.protocols import Split
from hauberk.core.threat import BACKDOOR_2, Threat


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def threat(rate: float, goal: int | None = 0) -> Threat:
    return Threat(name="t", family="poisoning", poison_rate=rate, target_class=goal)


@settings(deadline=None)
@given(st.integers(0, 100), st.integers(1, 60), st.integers(0, 2))
def test_poisons_exactly_the_share_and_nothing_else(percent: int, n: int, goal: int) -> None:
    x, y = torch.rand(n, 1, 6, 6, generator=rng()), torch.arange(n) % 3
    before = x.clone(), y.clone()
    found = BadNets().poison(x, y, (0.0, 1.0), threat(percent / 100, goal), rng(1))
    assert len(found.rows) == len(set(found.rows.tolist())) == percent * n // 100
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])
    kept = torch.ones(n, dtype=torch.bool)
    kept[found.rows] = False
    assert torch.equal(found.x[kept], x[kept])
    assert torch.equal(found.y[kept], y[kept])
    assert torch.equal(found.x[found.rows], BadNets().trigger(x[found.rows], (0.0, 1.0)))
    assert bool((found.y[found.rows] == goal).all())
    if len(found.rows) <= int((y != goal).sum()):
        assert bool((y[found.rows] != goal).all())


@settings(deadline=None)
@given(
    st.sampled_from(["top-left", "top-right", "bottom-left", "bottom-right"]),
    st.sampled_from(["checker", "solid"]),
    st.floats(-50, 50),
    st.floats(0.1, 100),
    st.floats(-1, 2),
    st.integers(1, 4),
)
def test_the_trigger_stays_in_bounds_and_in_its_corner(
    corner: str, pattern: str, low: float, width: float, value: float, size: int
) -> None:
    bounds = (low, low + width)
    attack = BadNets(size=size, corner=corner, pattern=pattern, value=value)
    for shape in ((3, 2, 5, 4), (3, 7)):
        x = low + width * torch.rand(shape, generator=rng())
        stamped = attack.trigger(x, bounds)
        edge = 1e-5 * (abs(low) + width)
        assert float(stamped.min()) >= low - edge
        assert float(stamped.max()) <= low + width + edge
        places = (stamped != x).any(0).any(0) if len(shape) == 4 else (stamped != x).any(0)
        rows = [place[0] for place in places.nonzero().tolist()]
        columns = [place[-1] for place in places.nonzero().tolist()]
        assert all(column < size if "left" in corner else column >= shape[-1] - size for column in columns)
        if len(shape) == 4:
            assert all(row < size if "top" in corner else row >= shape[-2] - size for row in rows)
        assert torch.equal(attack.trigger(x[:1], bounds), stamped[:1])  # one fixed pattern, whatever the batch


def test_patterns_pixel_by_pixel() -> None:
    zero = torch.full((1, 1, 3, 3), 0.5)
    checker = BadNets(size=2, corner="top-left").trigger(zero, (0.0, 1.0))[0, 0]
    assert checker.tolist() == [[1, 0, 0.5], [0, 1, 0.5], [0.5, 0.5, 0.5]]
    solid = BadNets(size=2, pattern="solid", value=0.25).trigger(torch.zeros(1, 3), (-1.0, 3.0))
    assert solid.tolist() == [[0, 0, 0]]
    row = BadNets(size=2).trigger(torch.full((1, 3), 9.0), (-1.0, 3.0))
    assert row.tolist() == [[9, 3, -1]]


def test_what_cannot_be_done_is_said() -> None:
    with pytest.raises(DataError, match="does not fit"):
        BadNets(size=5).trigger(torch.zeros(1, 1, 4, 8), (0.0, 1.0))
    with pytest.raises(DataError, match="rows"):
        BadNets().trigger(torch.zeros(1, 4, 4), (0.0, 1.0))
    with pytest.raises(UsageError, match="poison rate"):
        BadNets().poison(torch.zeros(4, 5), torch.zeros(4), (0.0, 1.0), Threat(name="none"), rng())


def rows_of(entries: list[Entry], role: str) -> dict[str, Measurement]:
    return {entry.name: entry for entry in entries if isinstance(entry, Measurement) and entry.role == role}


def test_the_backdoor_opens_and_the_control_does_not(digits, digits_net, stamp) -> None:
    before = digits.train.x.copy()
    entries = list(examine_poisoning(digits_net, digits, BadNets(), BACKDOOR_2, stamp=stamp, seed=1))
    headline, control = rows_of(entries, "headline"), rows_of(entries, "control")
    success = headline["backdoor_success"]
    assert success.value > 0.6
    assert success.low <= success.value <= success.high
    assert success.n == int((digits.test.y != 0).sum())
    assert (success.better, success.threat, success.provenance.recipe) == ("lower", "backdoor-2%", "poisoning.badnets")
    assert control["backdoor_success"].value < 0.05
    assert headline["clean_accuracy_poisoned"].value > 0.93
    assert control["clean_accuracy_refit"].value > 0.93
    assert [indicator.passed for indicator in success.indicators] == [True, True, True]
    assert "20 of 1000" in success.note
    exhibits = [entry for entry in entries if isinstance(entry, Exhibit)]
    assert exhibits
    assert all(entry.predicted_adversarial == "0" != entry.label for entry in exhibits)
    assert np.array_equal(digits.train.x, before)
    assert all(decode_entry(canonical(entry)) == entry for entry in entries)


def test_the_same_seed_gives_the_same_evidence(table, table_net, stamp) -> None:
    runs = [list(examine_poisoning(table_net, table, BadNets(), BACKDOOR_2, stamp=stamp, seed=s)) for s in (5, 5)]
    assert runs[0] == runs[1]
    assert rows_of(runs[0], "headline")["backdoor_success"].value > 0.5


def test_a_trigger_that_works_by_itself_fails_its_indicator(digits, digits_net, stamp) -> None:
    three = torch.from_numpy(digits.test.x[digits.test.y == 3][:1])

    class Swap(BadNets):
        """The "trigger" is a real three: no poison is needed to have it seen as one."""

        def trigger(self, x, bounds):
            return three.expand_as(x).clone()

    entries = list(examine_poisoning(digits_net, digits, Swap(), threat(0.02, 3), stamp=stamp, seed=1))
    assert rows_of(entries, "control")["backdoor_success"].value == 1.0
    assert rows_of(entries, "headline")["backdoor_success"].indicators[0].passed is False


def test_a_refit_unlike_the_model_under_test_fails_its_indicator(table, table_net, stamp) -> None:
    class Other(Frozen):
        """A model that is wrong where its refit is right."""

        def predict(self, x):
            return -self.net.predict(x)

        def refit(self, x, y, rng):
            return self.net.refit(x, y, rng)

    entries = list(examine_poisoning(Other(table_net), table, BadNets(), threat(0.02), stamp=stamp, seed=1))
    success = rows_of(entries, "headline")["backdoor_success"]
    assert [indicator.passed for indicator in success.indicators[1:]] == [True, False]


@pytest.mark.parametrize(
    ("change", "kind", "word"),
    [
        (lambda data, net: (data, Frozen(net)), "power", "refit"),
        (lambda data, net: (without_train(data), net), "scope", "training rows"),
        (lambda data, net: (data, Broken(net)), "error", "out of memory"),
    ],
)
def test_what_was_not_measured_is_skipped_with_a_reason(
    change: Callable, kind: str, word: str, table, table_net, stamp
) -> None:
    data, target = change(table, table_net)
    entries = list(examine_poisoning(target, data, BadNets(), BACKDOOR_2, stamp=stamp))
    assert [type(entry) for entry in entries] == [Skipped]
    assert entries[0].kind == kind
    assert word in entries[0].reason


def test_less_than_a_row_or_too_large_a_trigger_is_skipped(table, table_net, stamp) -> None:
    for attack, rate, word in ((BadNets(), 0.001, "less than one row"), (BadNets(size=31), 0.1, "does not fit")):
        entries = list(examine_poisoning(table_net, table, attack, threat(rate), stamp=stamp))
        assert [type(entry) for entry in entries] == [Skipped]
        assert word in entries[0].reason


def test_a_class_the_target_lacks_is_a_usage_error(table, table_net, stamp) -> None:
    with pytest.raises(UsageError, match="class 7"):
        list(examine_poisoning(table_net, table, BadNets(), threat(0.1, 7), stamp=stamp))


class Frozen:
    """A target that cannot be trained."""

    def __init__(self, net) -> None:
        self.spec, self.net = net.spec, net

    def predict(self, x):
        return self.net.predict(x)


class Broken(Frozen):
    def refit(self, x, y, rng):
        raise TargetError("out of memory", fix="train on fewer rows")


def without_train(data):
    empty = Split(data.train.x[:0], data.train.y[:0])
    return type(data)(empty, data.test, msgspec.structs.replace(data.spec, train=0))
