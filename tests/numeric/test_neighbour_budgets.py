"""Budgets of nearest neighbours, held to every subset of changes on small sets."""

import itertools

import pytest
import torch

from hauberk.numeric.neighbour_budgets import budgets, ranked


def decision(labels, k, classes):
    votes = torch.bincount(torch.tensor(labels[:k]), minlength=classes)
    return int(votes.argmax())


def least(labels, k, classes, change):
    """The smallest r for which any of the changes of r rows turns the decision; n + 1 where none does."""
    was = decision(labels, k, classes)
    for r in range(1, len(labels) + 1):
        if any(decision(new, k, classes) != was for new in change(labels, r) if len(new) >= k):
            return r
    return len(labels) + 1


def removals(labels, r):
    for gone in itertools.combinations(range(len(labels)), r):
        yield [label for place, label in enumerate(labels) if place not in gone]


def relabellings(classes):
    def change(labels, r):
        for places in itertools.combinations(range(len(labels)), r):
            for new in itertools.product(range(classes), repeat=r):
                yield [dict(zip(places, new, strict=True)).get(place, label) for place, label in enumerate(labels)]

    return change


def additions(classes, k):
    def change(labels, r):
        if r > k:
            return
        for places in itertools.combinations_with_replacement(range(k), r):
            for new in itertools.product(range(classes), repeat=r):
                grown = list(labels)
                for place, label in sorted(zip(places, new, strict=True), reverse=True):
                    grown.insert(place, label)
                yield grown

    return change


@pytest.mark.parametrize("k", [1, 3, 4])
def test_no_smaller_change_of_any_kind_turns_the_decision(k):
    rng = torch.Generator().manual_seed(k)
    for _ in range(12):
        labels = torch.randint(3, (7,), generator=rng)
        found = budgets(torch.arange(7)[None], labels, 3, k)
        words = labels.tolist()
        assert int(found.decided) == decision(words, k, 3)
        assert int(found.removed) == least(words, k, 3, removals)
        assert int(found.added) == least(words, k, 3, additions(3, k))
        if k < 4:
            assert int(found.relabelled) == least(words, k, 3, relabellings(3))


def test_the_closed_form_of_a_unanimous_vote():
    labels = torch.tensor([1] * 5 + [0] * 5)
    found = budgets(torch.arange(10)[None], labels, 2, 5)
    # Class 0 wins ties, but five votes do not tie: three must change.
    assert [int(part) for part in found] == [1, 3, 3, 3]


def test_one_class_alone_is_never_turned_by_taking_out():
    found = budgets(torch.arange(6)[None], torch.zeros(6, dtype=torch.int64), 2, 3)
    assert int(found.removed) == 7
    assert int(found.added) == 2


def test_rows_are_ranked_by_distance_and_equals_by_their_own_order():
    rows = torch.tensor([[1.0], [3.0], [1.0], [0.0]])
    assert ranked(rows, torch.tensor([[0.9]])).tolist() == [[0, 2, 3, 1]]


def test_too_many_neighbours_are_refused():
    with pytest.raises(ValueError, match="8 neighbours of 7"):
        budgets(torch.arange(7)[None], torch.zeros(7, dtype=torch.int64), 2, 8)
