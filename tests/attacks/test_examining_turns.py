"""Rows that hold decisions: the rows named do turn a ridge classifier and a linear model trained without them."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from hauberk.attacks.examining_turns import find_turns
from hauberk.core.errors import UsageError
from hauberk.core.evidence import Measurement, Skipped
from hauberk.core.project import ModelSection
from hauberk.core.protocols import Split
from hauberk.numeric.removal_paths import Ridge
from hauberk.targets import from_torch
from hauberk.targets.hints import Hints
from hauberk.targets.scikit import Scikit


@pytest.fixture(scope="module")
def ridge(table):
    model = RidgeClassifier(alpha=0.1).fit(table.train.x, table.train.y)
    section = ModelSection(source="ridge", bounds=(0.0, 1.0), shape=(30,))
    return Scikit.open(section, Path(), Hints(made=model))


@pytest.fixture(scope="module")
def found(ridge, table, stamp):
    return find_turns(ridge, table, stamp=stamp, inputs=12, checked=6)


def figures(found, role="headline"):
    return {row.name: row for row in found.entries if isinstance(row, Measurement) and row.role == role}


def test_without_the_rows_named_the_head_decides_otherwise(found, table):
    x, y = (torch.from_numpy(part) for part in table.train)
    head = Ridge.fit(x, y, 2)
    assert len(found.turned) == 12
    turned = [row for row in found.turned if row.rows]
    assert len(turned) >= 10
    for row in turned:
        asked = torch.from_numpy(table.test.x[row.input : row.input + 1])
        assert int(head.scores(asked).argmax()) == row.decided == int(table.test.y[row.input])
        for count, decided in ((row.needed, row.rival), (row.needed - 1, row.decided)):
            assert (
                int(head.without(torch.tensor(row.rows[:count], dtype=torch.int64)).scores(asked).argmax()) == decided
            )


def test_a_ridge_model_trained_anew_turns_where_chance_does_not(found):
    share, control = figures(found)["removal_turns_retrained"], figures(found, "control")["removal_turns_retrained"]
    assert share.n == control.n
    assert share.value > control.value
    asked = [row for row in found.turned if row.asked]
    assert len(asked) == share.n
    assert sum(row.retrained is not None for row in asked) == round(share.value * share.n) >= 4
    retrained = figures(found)["rows_to_turn_retrained"]
    assert retrained.n == share.n
    assert retrained.value >= min(row.needed for row in asked)


def test_the_number_retrained_turns_the_model_and_a_smaller_one_tried_does_not(found, ridge, table):
    x, y = (torch.from_numpy(part) for part in table.train)
    row = next(row for row in found.turned if row.retrained is not None)
    kept = torch.ones(len(y), dtype=torch.bool)
    kept[list(row.rows[: row.retrained])] = False
    model = ridge.refit(x[kept], y[kept], torch.Generator())
    asked = torch.from_numpy(table.test.x[row.input : row.input + 1])
    assert int(model.predict(asked).argmax()) != row.decided


def test_where_one_class_is_left_it_is_the_answer(table, stamp):
    section = ModelSection(source="logistic", bounds=(0.0, 1.0), shape=(30,))
    model = LogisticRegression(max_iter=200).fit(table.train.x, table.train.y)
    small = copy.copy(table)
    few = np.concatenate([np.flatnonzero(table.train.y == c)[:6] for c in (0, 1)])
    small.train = Split(table.train.x[few], table.train.y[few])
    found = find_turns(Scikit.open(section, Path(), Hints(made=model)), small, stamp=stamp, inputs=12, checked=12)
    assert "removal_turns_retrained" in figures(found)
    assert not [entry for entry in found.entries if isinstance(entry, Skipped)]


def test_figures_have_intervals_and_say_the_least(found):
    for name in ("neighbour_rows_removed", "neighbour_rows_added", "neighbour_rows_relabelled", "rows_to_turn"):
        row = figures(found)[name]
        assert 1 <= row.low <= row.value <= row.high
        assert row.unit == "rows"
        assert "the least is" in row.note
    # Five neighbours of two classes: three votes turn any of them.
    assert figures(found)["neighbour_rows_added"].value <= 3
    assert figures(found)["neighbour_rows_relabelled"].value <= figures(found)["neighbour_rows_removed"].value


def test_a_network_is_looked_at_by_its_last_features(table_net, table, stamp):
    target = from_torch(table_net.module, shape=(30,), classes=2)
    found = find_turns(target, table, stamp=stamp, inputs=3, checked=0)
    assert "last layer" in figures(found)["rows_to_turn"].note
    assert not any(row.asked for row in found.turned)


def test_a_model_that_cannot_be_trained_is_not_checked(ridge, table, stamp):
    class Fixed:
        spec = ridge.spec

        def predict(self, x):
            return ridge.predict(x)

    found = find_turns(Fixed(), table, stamp=stamp, inputs=3, checked=2)
    (gap,) = (entry for entry in found.entries if isinstance(entry, Skipped))
    assert gap.kind == "power"
    assert "rows_to_turn" in figures(found)


@pytest.mark.parametrize("faulty", [{"inputs": 0}, {"neighbours": 0}, {"checked": -1}, {"neighbours": 351}])
def test_faulty_counts_are_refused(ridge, table, stamp, faulty):
    with pytest.raises(UsageError):
        find_turns(ridge, table, stamp=stamp, **faulty)
