"""Votes of partitions: closed forms, an exhaustive adversary, and rows that touch one bucket each."""

import itertools

import pytest
import torch

from hauberk.numeric.partitions import buckets, canonical_order, elected, proven, spreading


def test_a_row_goes_where_its_values_say_whatever_its_neighbours():
    x = torch.rand(200, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    found = buckets(x, 7)
    assert torch.equal(buckets(x[50:60], 7), found[50:60])
    assert torch.equal(buckets(x.flip(0), 7), found.flip(0))
    counts = torch.bincount(found, minlength=7)
    assert int(counts.min()) > 10


def test_the_order_within_a_part_does_not_depend_on_the_order_of_the_rows():
    rng = torch.Generator().manual_seed(1)
    x, y = torch.rand(40, 5, generator=rng), torch.randint(3, (40,), generator=rng)
    mixed = torch.randperm(40, generator=rng)
    one, two = canonical_order(x, y), canonical_order(x[mixed], y[mixed])
    assert torch.equal(x[one], x[mixed][two])
    assert torch.equal(y[one], y[mixed][two])
    assert bool((y[one].diff() >= 0).all())


@pytest.mark.parametrize(("parts", "degree"), [(6, 1), (4, 3), (2, 2)])
def test_every_bucket_is_seen_by_as_many_learners_as_every_learner_sees_buckets(parts, degree):
    spread = spreading(parts, degree)
    assert spread.shape == (parts * degree, degree)
    assert torch.equal(torch.bincount(spread.flatten()), torch.full((parts * degree,), degree))
    assert all(len(set(row)) == degree for row in spread.tolist())


def test_parts_below_one_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        spreading(0, 1)


def test_a_degree_of_one_is_half_the_lead():
    """Levine and Feizi 2021, Theorem 1: ⌊(n_a − max(n_b + [b < a])) / 2⌋."""
    votes = torch.randint(4, (500, 11), generator=torch.Generator().manual_seed(2))
    tally = torch.stack([(votes == c).sum(1) for c in range(4)], 1)
    first = elected(votes, 4)
    got = proven(votes, spreading(11, 1), 4)
    for row in range(500):
        a = int(first[row])
        rival = max(int(tally[row, b]) + (b < a) for b in range(4) if b != a)
        assert int(got[row]) == (int(tally[row, a]) - rival) // 2


@pytest.mark.parametrize(("parts", "degree"), [(5, 1), (3, 2)])
def test_no_replacement_of_proven_buckets_turns_the_vote(parts, degree):
    """Against every adversary: all choices of buckets and all votes of the learners that see them."""
    spread = spreading(parts, degree)
    votes = torch.randint(3, (25, parts * degree), generator=torch.Generator().manual_seed(3))
    votes[::2, : parts * degree - 1] = votes[::2, :1]
    for row, radius in zip(votes, proven(votes, spread, 3).tolist(), strict=True):
        first = int(elected(row[None], 3))
        for chosen in itertools.combinations(range(len(spread)), radius):
            hit = sorted({int(learner) for bucket in chosen for learner in spread[bucket]})
            for wanted in range(3):
                changed = row.clone()
                changed[hit] = wanted
                assert int(elected(changed[None], 3)) == first


def test_one_bucket_more_turns_a_vote_of_single_buckets():
    spread = spreading(9, 1)
    votes = torch.tensor([[1, 1, 1, 1, 1, 1, 0, 0, 2]])
    radius = int(proven(votes, spread, 3))
    assert radius == 1
    votes[0, : radius + 1] = 0
    assert int(elected(votes, 3)) == 0


def test_agreement_of_all_survives_all_but_half():
    assert proven(torch.ones(1, 9, dtype=torch.int64), spreading(9, 1), 2).tolist() == [4]
