"""Model theft: faithful copies, and never one query more than the budget."""

from __future__ import annotations

import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hauberk.attacks.examining_extraction import Metered, examine_extraction
from hauberk.attacks.extraction.knockoff import Knockoff
from hauberk.attacks.surrogates import shifted, soft_labels
from hauberk.core.encoding import canonical, decode_entry
from hauberk.core.errors import BudgetSpent, DataError
from hauberk.core.evidence import Measurement, Skipped
from hauberk.core.protocols import Differentiable, Split, Target, TargetSpec
from hauberk.core.threat import THEFT_1000, Threat

SPEC = TargetSpec(name="t", kind="test", shape=(3,), classes=2, bounds=(0.0, 1.0))


class Recording:
    """Says 1 where the first value is larger; keeps what it was asked."""

    def __init__(self, spec: TargetSpec = SPEC) -> None:
        self.spec, self.inputs = spec, []

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        self.inputs.extend(x.flatten(1).tolist())
        return torch.stack((-x.flatten(1)[:, 0], x.flatten(1)[:, 0] - 1), 1) * 20


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def finish(generator):
    entries = []
    while True:
        try:
            entries.append(next(generator))
        except StopIteration as end:
            return entries, end.value


def threat(queries: int | None, knowledge: str = "score") -> Threat:
    return Threat(name="t", family="extraction", knowledge=knowledge, queries=queries)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 70), st.integers(1, 20), st.booleans())
def test_the_budget_is_spent_exactly_and_in_bounds(budget: int, size: int, image: bool) -> None:
    shape = (size, 1, 4, 4) if image else (size, 3)
    pool = torch.rand(shape, generator=rng(1))
    before = pool.clone()
    target = Recording(msgspec.structs.replace(SPEC, shape=shape[1:]))
    Knockoff(steps=1, width=2).steal(target, pool, threat(budget), rng(2))
    assert len(target.inputs) == budget
    assert torch.equal(pool, before)
    asked = torch.tensor(target.inputs)
    assert float(asked.min()) >= 0
    assert float(asked.max()) <= 1
    known = {tuple(row) for row in pool.flatten(1).tolist()}
    own = [tuple(row) in known for row in target.inputs[:size]]
    assert all(own)
    assert len({tuple(row) for row in target.inputs[:size]}) == min(budget, size)
    if not image:  # each value of a mixed row is one that its column really takes
        columns = [set(pool[:, index].tolist()) for index in range(3)]
        assert all(value in columns[index] for row in target.inputs for index, value in enumerate(row))


def test_a_larger_budget_asks_the_same_first() -> None:
    asked = []
    for budget in (7, 25, 60):
        target = Recording()
        Knockoff(steps=1).steal(target, torch.rand(10, 3, generator=rng(1)), threat(budget), rng(3))
        asked.append(target.inputs)
    assert asked[1][:7] == asked[0]
    assert asked[2][:25] == asked[1]


def test_the_global_random_stream_is_left_alone_and_the_copy_repeats() -> None:
    pool = torch.rand(20, 3, generator=rng(1))
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    copies = [Knockoff(steps=5).steal(Recording(), pool, threat(20), rng(4)) for _ in range(2)]
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(copies[0].predict(pool), copies[1].predict(pool))


def test_shifted_images_are_the_same_images_elsewhere() -> None:
    x = torch.rand(9, 2, 6, 5, generator=rng(1))
    moved = shifted(x, 2, rng(2))
    wide = torch.nn.functional.pad(x, (2, 2, 2, 2), mode="replicate")
    for image, own in zip(moved, wide, strict=True):
        assert any(torch.equal(image, own[:, top : top + 6, left : left + 5]) for top in range(5) for left in range(5))
    assert not torch.equal(moved, x)
    assert torch.equal(shifted(x, 0, rng(2)), x)


def test_a_decision_only_thief_learns_from_labels() -> None:
    told = torch.tensor([[2.0, 1.0], [-1.0, 0.0]])
    assert soft_labels(told, SPEC, threat(1, "decision")).tolist() == [[1, 0], [0, 1]]
    assert soft_labels(told, SPEC, threat(1)).tolist() == told.softmax(1).tolist()
    sure = msgspec.structs.replace(SPEC, answers="probabilities")
    assert soft_labels(torch.tensor([[0.7, 0.3]]), sure, threat(1)).tolist() == [
        [pytest.approx(0.7), pytest.approx(0.3)]
    ]


def test_nothing_to_ask_is_refused() -> None:
    for pool, queries in ((torch.zeros(0, 3), 5), (torch.zeros(3, 3), 0)):
        with pytest.raises(DataError, match="pool"):
            Knockoff().steal(Recording(), pool, threat(queries), rng())


def test_the_meter_refuses_before_it_asks_and_remembers() -> None:
    target, paid = Recording(), {}
    meter = Metered(target, 5, paid)
    x = torch.rand(4, 3)
    first = meter.predict(x)
    with pytest.raises(BudgetSpent, match="asked for 6 answers, its budget is 5"):
        meter.predict(torch.rand(2, 3))
    assert (meter.spent, len(target.inputs)) == (4, 4)
    other = Metered(target, 5, paid)
    assert torch.equal(other.predict(x.flip(0)), first.flip(0))
    assert (other.spent, len(target.inputs)) == (4, 4)


def test_a_conv_net_is_copied_and_the_curve_costs_nothing_more(digits, digits_net, stamp) -> None:
    entries, copy = finish(
        examine_extraction(digits_net, digits, Knockoff(width=8, steps=200), threat(600), stamp=stamp, seed=1)
    )
    scored = 399
    assert digits_net.asked <= 600 + scored
    by_role = {(entry.role, entry.name): entry for entry in entries}
    agreement = by_role["headline", "extraction_agreement"]
    assert agreement.value > 0.93
    assert (agreement.n, agreement.better, agreement.provenance.recipe) == (scored, "lower", "extraction.knockoff")
    assert agreement.indicators[0].passed
    assert by_role["control", "extraction_agreement"].value < 0.2
    assert by_role["headline", "extraction_accuracy"].value > 0.9
    assert by_role["diagnostic", "extraction_queries"].value == 600
    curve = [entry for entry in entries if entry.role == "curve"]
    for name in ("extraction_agreement", "extraction_accuracy"):
        points = [point for point in curve if point.name == name]
        assert [(point.along, point.at) for point in points] == [("queries", at) for at in (75, 150, 300, 600)]
        assert points[-1].value == by_role["headline", name].value
    assert all(decode_entry(canonical(entry)) == entry for entry in entries)
    assert isinstance(copy, Target)
    assert isinstance(copy, Differentiable)
    x = torch.from_numpy(digits.test.x[:4]).requires_grad_()
    assert bool(torch.autograd.grad(copy.forward(x).sum(), x)[0].abs().sum() > 0)


def test_a_table_model_is_copied_and_the_same_seed_repeats(table, table_net, stamp) -> None:
    attack = Knockoff(steps=150)
    first, second = (finish(examine_extraction(table_net, table, attack, THEFT_1000, stamp=stamp))[0] for _ in range(2))
    assert first == second
    agreement = next(entry for entry in first if (entry.role, entry.name) == ("headline", "extraction_agreement"))
    control = next(entry for entry in first if entry.role == "control")
    assert agreement.low > control.high


def test_more_queries_make_a_better_copy(digits, digits_net, stamp) -> None:
    attack = Knockoff(width=8, steps=100)
    values = []
    for queries in (15, 398):
        entries, _ = finish(examine_extraction(digits_net, digits, attack, threat(queries), stamp=stamp))
        values.append(next(entry for entry in entries if entry.role == "headline").value)
    assert values[1] > values[0] + 0.1


def test_a_thief_over_budget_and_an_empty_test_set_are_skipped(table, table_net, stamp) -> None:
    class Greedy(Knockoff):
        def steal(self, target, pool, threat, rng):
            target.predict(pool[:1].repeat(threat.queries + 1, 1))

    entries, copy = finish(examine_extraction(table_net, table, Greedy(), threat(10), stamp=stamp))
    assert copy is None
    skipped = [entry for entry in entries if isinstance(entry, Skipped)]
    assert [entry.kind for entry in skipped] == ["error"]
    assert not [entry for entry in entries if isinstance(entry, Measurement) and entry.role == "headline"]

    empty = type(table)(table.train, Split(table.test.x[:2], table.test.y[:2]), table.spec)
    entries, copy = finish(examine_extraction(table_net, empty, Knockoff(), threat(10), stamp=stamp))
    assert copy is None
    assert [type(entry) for entry in entries] == [Skipped]


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 64, 48), (1, 33, 5), (2, 8, 30)])
def test_images_of_any_size_can_be_copied(shape: tuple[int, ...]) -> None:
    spec = msgspec.structs.replace(SPEC, shape=shape)
    pool = torch.rand(4, *shape, generator=rng())
    copy = Knockoff(steps=2, width=2).steal(Recording(spec), pool, threat(6), rng())
    assert copy.predict(pool).shape == (4, 2)


def test_the_examiner_hides_scores_from_a_decision_only_thief(table, table_net, stamp) -> None:
    seen = []

    class Curious(Knockoff):
        def steal(self, target, pool, threat, rng):
            seen.append(target.predict(pool[:3]))
            return super().steal(target, pool, msgspec.structs.replace(threat, queries=threat.queries - 3), rng)

    finish(examine_extraction(table_net, table, Curious(steps=1), threat(40, "decision"), stamp=stamp))
    assert all(sorted(row) == [0.0, 1.0] for answer in seen for row in answer.tolist())
