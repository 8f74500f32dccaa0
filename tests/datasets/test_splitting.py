"""The split is a partition, holds each class's share, and repeats."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hauberk.datasets.splitting import split_rows


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.floats(0.05, 0.95), st.integers(0, 9))
def test_a_split_is_a_partition_that_repeats(labels, share, seed):
    y = np.array(labels)
    train, test = split_rows(y, share, seed)
    assert sorted([*train, *test]) == list(range(len(y)))
    again = split_rows(y, share, seed)
    assert np.array_equal(train, again[0])
    assert np.array_equal(test, again[1])


@given(st.lists(st.integers(2, 60), min_size=2, max_size=5), st.floats(0.1, 0.9))
def test_each_class_has_its_share_on_both_sides(counts, share):
    y = np.repeat(np.arange(len(counts)), counts)
    train, test = split_rows(y, share, 0)
    for label, count in enumerate(counts):
        held = int((y[test] == label).sum())
        assert 1 <= held <= count - 1
        assert abs(held - share * count) <= 1
        assert (y[train] == label).sum() == count - held


def test_test_rows_are_shuffled_so_that_the_first_are_a_fair_sample():
    y = np.repeat(np.arange(10), 100)
    _, test = split_rows(y, 0.3, 0)
    assert len(set(y[test[:40]])) == 10
