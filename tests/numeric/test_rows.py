from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hauberk.core.relations import relation
from hauberk.core.schema import Column
from hauberk.core.threat import Constraints
from hauberk.numeric.rows import rows

BOUNDS = (-10.0, 10.0)
FINITE = st.floats(-12, 12, width=32)
ANYTHING = st.one_of(FINITE, st.floats(width=32, allow_nan=True, allow_infinity=True))


@st.composite
def columns(draw):
    found = []
    for index in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["continuous", "integer", "boolean", "categorical"]))
        ends = sorted(draw(st.tuples(FINITE, FINITE)))
        found.append(
            Column(
                name=f"c{index}",
                kind=kind,
                low=draw(st.sampled_from([None, ends[0]])),
                high=draw(st.sampled_from([None, ends[1]])),
                categories=("a", "b", "c") if kind == "categorical" else (),
                immutable=draw(st.booleans()) and draw(st.booleans()),
                direction=draw(st.sampled_from([None, None, "up", "down"])),
            )
        )
    for index in range(draw(st.sampled_from([0, 3]))):
        found.append(Column(name=f"g{index}", kind="boolean", group="g"))
    return tuple(found)


def grid(values, n, width):
    return st.lists(st.lists(values, min_size=width, max_size=width), min_size=n, max_size=n).map(torch.tensor)


@st.composite
def tables(draw):
    made = draw(columns())
    n = draw(st.integers(1, 3))
    clean = torch.tensor(
        draw(st.lists(st.lists(FINITE, min_size=len(made), max_size=len(made)), min_size=n, max_size=n))
    )
    for index, column in enumerate(made):
        if column.group:
            hot = draw(st.integers(0, 2))
            clean[:, index] = float(column.name == f"g{hot}")
    wild = torch.tensor(
        draw(st.lists(st.lists(ANYTHING, min_size=len(made), max_size=len(made)), min_size=n, max_size=n))
    )
    changed = draw(st.sampled_from([None, 0, 1, 2]))
    return Constraints(columns=made, changed=changed), clean, wild


def allowed(constraints, clean, x):
    """Hold a row against the constraints in plain Python: another way to the same answer."""
    moved, groups = set(), {}
    for column, before, after in zip(constraints.columns, clean.tolist(), x.tolist(), strict=True):
        if column.group:
            groups.setdefault(column.group, []).append((before, after))
        if after == before:
            continue
        moved.add(column.group or column.name)
        low = BOUNDS[0] if column.low is None else column.low
        high = BOUNDS[1] if column.high is None else column.high
        if column.kind == "categorical":
            low, high = 0, 2
        if column.kind == "boolean":
            low, high = max(low, 0), min(high, 1)
        assert not column.immutable
        assert low <= after <= high
        assert column.kind == "continuous" or after == round(after)
        assert column.direction != "up" or after > before
        assert column.direction != "down" or after < before
    assert constraints.changed is None or len(moved) <= constraints.changed
    for members in groups.values():
        assert sum(after for _, after in members) == 1 or all(a == b for a, b in members)


@settings(deadline=None, max_examples=300)
@given(tables())
def test_what_is_projected_is_allowed_and_stays(table):
    constraints, clean, wild = table
    before = clean.clone()
    where = rows(constraints, clean, BOUNDS)
    point = where.project(wild)
    for row, origin in zip(point, clean, strict=True):
        allowed(constraints, origin, row)
    assert bool(where.contains(point).all())
    assert torch.equal(where.project(point), point), "projecting twice is projecting once, to the bit"
    assert torch.equal(where.project(clean), clean)
    assert bool(where.contains(clean).all())
    assert torch.equal(clean, before)


@settings(deadline=None, max_examples=100)
@given(tables(), st.integers(0, 9))
def test_random_rows_are_allowed(table, seed):
    constraints, clean, _ = table
    where = rows(constraints, clean, BOUNDS)
    drawn = where.scatter(torch.Generator().manual_seed(seed))
    for row, origin in zip(drawn, clean, strict=True):
        allowed(constraints, origin, row)


@settings(deadline=None, max_examples=200)
@given(tables())
def test_contains_refuses_what_is_not_allowed(table):
    constraints, clean, wild = table
    where = rows(constraints, clean, BOUNDS)
    for said, row, origin in zip(where.contains(wild), wild, clean, strict=True):
        try:
            allowed(constraints, origin, row)
            fine = not bool(row.isnan().any())
        except (AssertionError, ValueError, OverflowError):
            fine = False
        assert bool(said) == fine


COLUMNS = (
    Column(name="amount", kind="integer", low=0, high=9),
    Column(name="rate", low=0.0, high=1.0),
    Column(name="red", kind="boolean", group="colour"),
    Column(name="green", kind="boolean", group="colour"),
    Column(name="blue", kind="boolean", group="colour"),
)
CLEAN = torch.tensor([[4.0, 0.5, 1.0, 0.0, 0.0]])


def test_the_nearest_values_the_largest_member_and_the_largest_changes_win():
    free = rows(Constraints(columns=COLUMNS), CLEAN, BOUNDS)
    found = free.project(torch.tensor([[6.6, 1.4, 0.2, 0.9, 0.3]]))
    assert found.tolist() == [[7.0, 1.0, 0.0, 1.0, 0.0]]
    assert free.distance(found).tolist() == [3], "a group counts once"
    two = rows(Constraints(columns=COLUMNS, changed=2), CLEAN, BOUNDS)
    assert two.project(found).tolist() == [[4.0, 1.0, 0.0, 1.0, 0.0]], "3 of 9 is the smallest share of a range"
    assert not bool(two.contains(found)[0])


def test_a_member_that_cannot_change_stops_its_group():
    held = (*COLUMNS[:2], Column(name="red", kind="boolean", group="colour", immutable=True), *COLUMNS[3:])
    where = rows(Constraints(columns=held), CLEAN, BOUNDS)
    assert torch.equal(where.project(torch.tensor([[4.0, 0.5, 0.0, 1.0, 0.0]])), CLEAN)


def test_a_clean_value_out_of_range_may_stay():
    odd = torch.tensor([[12.5, 0.5, 1.0, 0.0, 0.0]])
    where = rows(Constraints(columns=COLUMNS), odd, (-20.0, 20.0))
    assert torch.equal(where.project(odd), odd)
    assert bool(where.contains(odd)[0])
    assert where.project(torch.tensor([[12.0, 0.5, 1.0, 0.0, 0.0]]))[0, 0] == 9


def test_taking_samples_repeats_their_sets():
    where = rows(Constraints(columns=COLUMNS, changed=1), CLEAN.repeat(3, 1), BOUNDS).take(torch.tensor([2, 0, 0, 1]))
    assert where.center.shape == (4, 5)
    assert bool(where.contains(where.scatter(torch.Generator().manual_seed(0))).all())


def test_rows_and_columns_must_agree():
    with pytest.raises(ValueError, match="5 columns"):
        rows(Constraints(columns=COLUMNS), torch.zeros(2, 4), BOUNDS)


RULES = ("c0 <= c1", "c0 + c1 == c2", "2*c0 - c1 + 1 >= c2", "c2 == c1", "c1 <= 3")


@st.composite
def linked(draw):
    constraints, clean, wild = draw(tables())
    names = {column.name for column in constraints.columns if not column.group}
    found = [relation(text) for text in draw(st.lists(st.sampled_from(RULES), max_size=3))]
    fit = tuple(rule for rule in found if set(rule.columns) <= names)
    return Constraints(columns=constraints.columns, changed=constraints.changed, relations=fit), clean, wild


@settings(deadline=None, max_examples=300)
@given(linked())
def test_with_relations_too_what_is_projected_is_allowed_and_stays(table):
    constraints, clean, wild = table
    where = rows(constraints, clean, BOUNDS)
    point = where.project(wild)
    for row, origin in zip(point, clean, strict=True):
        allowed(constraints, origin, row)
        if not torch.equal(row, origin):
            for rule in constraints.relations:
                kept(rule, constraints, row)
    assert bool(where.contains(point).all())
    assert torch.equal(where.project(point), point)
    assert torch.equal(where.project(clean), clean)


def kept(rule, constraints, row):
    """Hold a row against a relation in plain Python."""
    value = {column.name: float(part) for column, part in zip(constraints.columns, row, strict=True)}
    terms = [weight * value[name] for name, weight in zip(rule.columns, rule.weights, strict=True)]
    gap, slack = sum(terms) - rule.value, 1.1e-6 * (sum(map(abs, terms)) + abs(rule.value)) + 1e-11
    assert gap <= slack
    assert rule.sense == "<=" or gap >= -slack


def related(rules, clean, wild, changed=None, **kinds):
    made = tuple(Column(name=name, kind=kinds.get(name, "continuous"), low=0, high=9) for name in ("a", "b", "total"))
    where = rows(
        Constraints(columns=made, changed=changed, relations=tuple(map(relation, rules))), torch.tensor([clean]), BOUNDS
    )
    return where.project(torch.tensor([wild]))[0].tolist()


def test_an_untouched_column_makes_up_for_a_change():
    assert related(["total == a + b"], [1.0, 2.0, 3.0], [4.0, 2.0, 3.0]) == [4.0, 2.0, 6.0]
    assert related(["a <= b"], [1.0, 2.0, 3.0], [5.0, 2.0, 3.0]) == [5.0, 5.0, 3.0]
    assert related(["2*a <= b"], [1.0, 2.0, 3.0], [2.25, 2.0, 3.0], b="integer") == [2.25, 5.0, 3.0]


def test_several_columns_share_what_one_cannot_carry():
    found = related(["total == a + b"], [1.0, 2.0, 3.0], [9.0, 2.0, 3.0])
    assert found[2] == pytest.approx(found[0] + found[1])
    assert found[0] == 9.0, "total can rise to 9 only, so b falls to 0"


def test_what_cannot_be_mended_goes_back_to_the_clean_row():
    clean = [1.0, 2.0, 3.0]
    assert related(["total == a + b"], clean, [4.0, 2.0, 3.0], changed=1) == clean
    assert related(["a <= 2", "a >= 4"], clean, [4.0, 2.0, 3.0]) == clean, "no row keeps both"
    assert related(["a + b + total == 1"], clean, clean) == clean, "a clean row that breaks a relation may stay"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a + b", "0 of <="),
        ("a <= b <= c", "2 of <="),
        ("a * b == 2", "only linear"),
        ("1 <= 2", "names no column"),
        ("a b <= 2", "lacks a sign"),
        ("a + <= 2", "ends in a sign"),
        ("a / b <= 2", "is not read beyond"),
        (" <= 2", "empty side"),
        ("a - * b <= 2", "multiplies nothing"),
    ],
)
def test_a_relation_that_cannot_be_read_says_why(text, fault):
    with pytest.raises(ValueError, match=fault):
        relation(text)


def test_a_relation_is_read_with_everything_on_one_side():
    rule = relation("2*a - `two words` + 1 >= 3*a - 4")
    assert dict(zip(rule.columns, rule.weights, strict=True)) == {"a": 1.0, "two words": 1.0}
    assert (rule.sense, rule.value) == ("<=", 5.0)
    with pytest.raises(ValueError, match="no column"):
        rows(Constraints(columns=COLUMNS, relations=(relation("amount <= nothing"),)), CLEAN, BOUNDS)
