"""Label errors: decisions are those of cleanlab; the sources of probabilities see no row they judge."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_predict

from hauberk.scanning.tables.confident import confident_joint, label_errors
from hauberk.scanning.tables.features import reduced
from hauberk.scanning.tables.labels import suspects
from hauberk.scanning.tables.neighbours import _least, nearest_rows
from hauberk.scanning.tables.probabilities import (
    NEIGHBOURS,
    _fourier,
    _leave_one_out,
    from_kernel,
    from_neighbours,
    held_out,
)


def oracle(labels, probabilities):
    filters = pytest.importorskip("cleanlab.filter")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return filters.find_label_issues(labels, probabilities, n_jobs=1)


def drawn(seed):
    rng = np.random.default_rng(seed)
    classes, n = int(rng.integers(2, 12)), int(rng.integers(5, 400))
    y = rng.integers(0, classes, n)
    p = rng.dirichlet(np.full(classes, rng.choice([0.1, 0.5, 1.0])), n)
    if seed % 3 == 0:  # ties and rows that are equal
        p = np.round(p, 1) + 1e-3
    p[np.arange(n), y] += rng.random()
    wrong = rng.random(n) < 0.15
    return np.where(wrong, rng.integers(0, classes, n), y), p / p.sum(1, keepdims=True)


@pytest.mark.parametrize("seed", range(120))
def test_the_decisions_are_cleanlabs(seed):
    y, p = drawn(seed)
    np.testing.assert_array_equal(label_errors(y, p), oracle(y, p))


@pytest.mark.parametrize("data", [load_digits, load_breast_cancer])
def test_the_decisions_are_cleanlabs_on_real_probabilities(data):
    x, y = data(return_X_y=True)
    x = (x - x.mean(0)) / np.maximum(x.std(0), 1e-9)
    y = flipped(y, 0.08, 1)
    for p in (
        cross_val_predict(LogisticRegression(max_iter=300), x, y, cv=3, method="predict_proba"),
        held_out(x.astype(np.float32), y, int(y.max()) + 1, np.random.default_rng(0)).probabilities,
    ):
        np.testing.assert_array_equal(label_errors(y, p), oracle(y, p))


def test_a_joint_counted_by_hand():
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9], [0.05, 0.95]])
    y = np.array([0, 0, 0, 1, 1])
    # thresholds: class 0 (0.9 + 0.8 + 0.2) / 3 = 0.633, class 1 0.925; row 2 reaches neither, row 3 neither
    assert confident_joint(y, p).tolist() == [[2, 0], [0, 1]]
    assert not label_errors(y, p)[:2].any()


def test_the_only_row_of_a_class_is_never_flagged():
    p = np.array([[0.9, 0.1]] * 9 + [[0.95, 0.05]])
    assert not label_errors(np.array([0] * 9 + [1]), p).any()


def flipped(y, rate, seed):
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(y), int(rate * len(y)), replace=False)
    classes = y.max() + 1
    y = y.copy()
    y[rows] = (y[rows] + rng.integers(1, classes, len(rows))) % classes
    return y


def f1(found, truth):
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


def test_neighbours_are_exact_and_leave_the_row_out():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 7)).astype(np.float32)
    found = nearest_rows(x, 5)
    gaps = np.linalg.norm(x[:, None] - x[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    np.testing.assert_allclose(found.distance, np.sort(gaps, 1)[:, :5], atol=2e-3)
    np.testing.assert_array_equal(found.places[:, 0], gaps.argmin(1))
    other = nearest_rows(x[:10], 3, reference=x)
    np.testing.assert_array_equal(other.places[:, 0], np.arange(10))
    assert nearest_rows(x[:1], 5).places.shape == (1, 0)
    assert nearest_rows(x[:3], 5).places.shape == (3, 2)


@pytest.mark.parametrize("columns", [2, 640, 641, 2000])
@pytest.mark.parametrize("k", [1, 10])
def test_the_least_of_each_row_with_ties_and_gaps(columns, k):
    rng = np.random.default_rng(columns)
    gaps = rng.integers(0, 50, (40, columns)).astype(np.float32) if columns > 640 else rng.random((40, columns))
    gaps[3, : columns // 2] = np.inf
    k = min(k, columns)
    places, values = _least(gaps.astype(np.float32), k)
    np.testing.assert_array_equal(values, np.sort(gaps.astype(np.float32), 1)[:, :k])
    np.testing.assert_array_equal(np.take_along_axis(gaps.astype(np.float32), places, 1), values)
    assert all(len(set(row)) == k for row in places.tolist())


def test_votes_by_hand():
    found = nearest_rows(np.array([[0.0], [1.0], [3.0]], dtype=np.float32), 2)
    p = from_neighbours(found, np.array([0, 1, 1]), 2, k=2)
    near, far = np.exp(-2 / 4), np.exp(-2)  # of row 1: row 0 at distance 1, row 2 at distance 2
    np.testing.assert_allclose(p[1], [near / (near + far), far / (near + far)], rtol=1e-5)
    assert p[0].tolist() == [0.0, 1.0]


def test_the_closed_form_leaves_each_row_out():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((40, 3)).astype(np.float32)
    targets = np.eye(3)[rng.integers(0, 3, 40)]
    features = _fourier(x, 12, 0.5, rng)
    (answers,) = _leave_one_out(features.astype(np.float64), targets, (0.7,))
    for row in (0, 7, 39):
        rest = np.arange(40) != row
        again = (
            Ridge(alpha=0.7, fit_intercept=False).fit(features[rest], targets[rest]).predict(features[row : row + 1])
        )
        np.testing.assert_allclose(answers[row], again[0], atol=1e-6)


def test_the_kernel_machine_knows_two_moons_that_no_line_parts():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, np.pi, 400)
    y = np.arange(400) % 2
    x = np.stack((np.cos(angle) + y, np.sin(angle) * (1 - 2 * y) + 0.4 * y), 1) + 0.08 * rng.standard_normal((400, 2))
    p = from_kernel(x.astype(np.float32), y, 2, rng)
    np.testing.assert_allclose(p.sum(1), 1)
    assert (p.argmax(1) == y).mean() > 0.97


@pytest.mark.parametrize(("data", "least"), [(load_digits, 0.9), (load_breast_cancer, 0.75)])
def test_flipped_labels_of_real_data_are_found(data, least):
    x, clean = data(return_X_y=True)
    x = ((x - x.mean(0)) / np.maximum(x.std(0), 1e-9)).astype(np.float32) if data is load_breast_cancer else x
    y = flipped(clean, 0.05, 3)
    rng = np.random.default_rng(0)
    points = reduced(x.astype(np.float32), rng)
    classes = tuple(str(k) for k in range(y.max() + 1))
    ids = np.arange(len(y)) * 3
    found = suspects(points, y, classes, ids, nearest_rows(points, NEIGHBOURS), rng)
    flagged = np.isin(ids, [row for row, _, _ in found.suggested])
    assert f1(flagged, y != clean) > least
    right = [int(best) == clean[row // 3] for row, _, best in found.suggested if y[row // 3] != clean[row // 3]]
    assert np.mean(right) > 0.9, "and the suggested label is the true one"
    assert found.review.count >= found.likely.count


def test_the_same_seed_gives_the_same_rows():
    x, y = load_digits(return_X_y=True)
    x = x.astype(np.float32)
    one, two = (held_out(x, y, 10, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.probabilities, two.probabilities)


def test_too_few_rows_or_classes_are_not_judged():
    rng = np.random.default_rng(0)
    x = rng.random((10, 2), dtype=np.float32)
    near = nearest_rows(x, NEIGHBOURS)
    assert suspects(x, np.zeros(10, int), ("a",), np.arange(10), near, rng) is None
