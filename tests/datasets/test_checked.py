"""The last look at a data set does not rely on whoever read it."""

import numpy as np
import pytest

from hauberk.core.errors import DataError
from hauberk.core.protocols import Split
from hauberk.datasets.checked import Draft, apart, whole

DRAFT = Draft(name="d", layout="row", classes=("a", "b"))
X = np.arange(8, dtype=np.float32).reshape(4, 2)


@pytest.mark.parametrize("label", [2, -1])
def test_a_label_that_is_no_class_is_refused(label):
    with pytest.raises(DataError, match=f"row 2 has the label {label}"):
        whole(DRAFT, Split(X, np.array([0, 1, label, 1])), 0.5, 0)


def test_training_rows_must_have_the_shape_of_test_rows():
    y = np.array([0, 1, 0, 1])
    with pytest.raises(DataError, match="training rows have shape"):
        apart(DRAFT, Split(np.zeros((4, 3), np.float32), y), Split(X, y))


def test_test_rows_of_one_class_are_noted_not_refused():
    data = apart(DRAFT, Split(X, np.array([0, 1, 0, 1])), Split(X + 9, np.array([1, 1, 1, 1])))
    assert 'all test rows are of class "b"' in data.spec.notes
