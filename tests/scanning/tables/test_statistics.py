"""Statistics of the audit against scipy, closed forms and planted cases."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import scipy.stats
from scipy.spatial.distance import jensenshannon

from hauberk.scanning.tables.drift import (
    benjamini_hochberg,
    chi2,
    js,
    ks,
    psi,
    shifts,
    told_apart,
    wasserstein,
)
from hauberk.scanning.tables.leakage import power
from hauberk.scanning.tables.near import near_points, near_texts
from hauberk.scanning.tables.neighbours import nearest_rows
from hauberk.scanning.tables.order import drifting, runs
from hauberk.scanning.tables.outliers import ecod, far, hbos, outlying

# --- drift


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("sizes", [(200, 300), (1500, 900)])
def test_ks_and_wasserstein_are_scipys(shift, sizes):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(sizes[0]), rng.standard_normal(sizes[1]) + shift
    want = scipy.stats.ks_2samp(a, b, method="asymp")
    statistic, p = ks(a, b)
    assert statistic == pytest.approx(want.statistic)
    assert p == pytest.approx(want.pvalue, rel=0.15, abs=0.02)
    assert wasserstein(a, b) == pytest.approx(scipy.stats.wasserstein_distance(a, b))


@pytest.mark.parametrize("k", [2, 3, 7, 40, 150])
def test_chi2_is_scipys(k):
    rng = np.random.default_rng(k)
    a, b = rng.integers(1, 60, k).astype(float), rng.integers(1, 60, k).astype(float)
    want = scipy.stats.chi2_contingency(np.stack((a, b)), correction=False)
    v, p = chi2(a, b)
    assert v == pytest.approx(np.sqrt(want.statistic / (a.sum() + b.sum())))
    assert p == pytest.approx(want.pvalue, rel=0.02, abs=1e-12)


def test_chi2_of_one_category_or_none():
    assert chi2(np.array([3.0]), np.array([4.0])) == (0.0, 1.0)
    assert chi2(np.array([3.0, 1.0]), np.array([0.0, 0.0])) == (0.0, 1.0)


def test_js_is_scipys_and_psi_is_its_formula():
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.4, 0.2])
    assert js(p, q) == pytest.approx(jensenshannon(p, q, base=2))
    assert psi(p, q) == pytest.approx(0.1 * np.log(5 / 4) + 0.1 * np.log(4 / 3))
    assert js(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(1.0)


def test_benjamini_hochberg_is_scipys():
    p = np.random.default_rng(0).random(50) ** 3
    np.testing.assert_allclose(benjamini_hochberg(p), scipy.stats.false_discovery_control(p))


def test_false_discoveries_are_held_down_over_many_columns():
    rng = np.random.default_rng(4)
    before = pl.DataFrame({f"c{i}": rng.standard_normal(400) for i in range(100)})
    now = pl.DataFrame({f"c{i}": rng.standard_normal(400) + (1.0 if i < 3 else 0.0) for i in range(100)})
    certain = [shift.column for shift in shifts(before, now) if shift.q < 0.01]
    assert certain == ["c0", "c1", "c2"]


def test_categories_and_gaps_are_compared():
    before = pl.DataFrame({"c": ["a"] * 60 + ["b"] * 40, "n": [None, 1.0] * 50})
    now = pl.DataFrame({"c": ["a"] * 20 + ["c"] * 80, "n": [None, 1.0] * 50})
    found = {shift.column: shift for shift in shifts(before, now)}
    assert found["c"].test == "chi2"
    assert found["c"].p < 1e-10
    assert found["c"].psi > 0.25


def test_a_classifier_sees_what_no_column_shows():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((600, 4)).astype(np.float32)
    same, moved = rng.standard_normal((600, 4)).astype(np.float32), rng.standard_normal((600, 4)) + 0.25
    assert told_apart(a, same, rng).p > 0.01
    found = told_apart(a, moved.astype(np.float32), rng)
    assert found.p < 1e-3
    assert found.statistic > 0.6


# --- outliers


def test_ecod_of_one_column_is_its_tail():
    x = np.array([[0.0], [1.0], [2.0], [3.0], [100.0]])
    score = ecod(x)
    assert score.argsort()[-2:].tolist() in ([0, 4], [4, 0])
    assert score[4] == pytest.approx(-np.log(1 / 5))
    assert hbos(np.concatenate((np.zeros((99, 1)), [[50.0]]))).argmax() == 99


def test_planted_outliers_are_found_and_clean_data_has_none():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1000, 5)).astype(np.float32)
    ids = np.arange(1000) + 7
    near = nearest_rows(x, 10)
    assert sum(found.rows.count for found in outlying(x, near.distance, ids)) == 0
    x[13] = 40
    near = nearest_rows(x, 10)
    found = outlying(x, near.distance, ids)
    assert {row for one in found for row in one.rows.first} == {20}
    assert not far(np.array([1.0, 1.0, 9.0, 9.0])).any(), "what is common is no outlier"


# --- near duplicates


def test_near_points():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 20)).astype(np.float32)
    x[50] = x[10] + 1e-3
    near = nearest_rows(x, 3)
    found = near_points(near.places[:, 0], near.distance[:, 0], np.arange(200) * 2, np.arange(200))
    assert found.groups == ((20, 100),)
    assert found.rows.first == (100,)


def test_near_texts():
    words = [f"w{i}" for i in range(400)]
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words, 60)) for _ in range(120)]
    texts[77] = texts[5].replace(" ", "  ", 3) + " more"
    texts[78] = texts[6]  # equal: found by exact duplicates, not here
    found = near_texts(texts, np.arange(120))
    assert found.groups == ((5, 77),)
    assert near_texts(["short", "short too", None], np.arange(3)).rows.count == 0


# --- leaks and order


def test_power_of_a_column():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 2000)
    assert power(pl.Series(y + 0.0), y, 2) == 1.0
    assert power(pl.Series([f"c{v}" for v in y]), y, 2) == 1.0
    assert power(pl.Series(rng.random(2000)), y, 2) < 0.1
    # 40 % of labels copied: half of the rest is right by chance, so 0.4 of the errors of a guess are mended
    copied = np.where(rng.random(2000) < 0.4, y, rng.integers(0, 2, 2000))
    assert power(pl.Series(copied), y, 2) == pytest.approx(0.4, abs=0.1)
    gaps = pl.Series([None if v else 1.5 for v in y])
    assert power(gaps, y, 2) == 1.0, "where a value is missing tells too"


def test_sorted_labels_are_seen_and_shuffled_ones_are_not():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), 100)
    assert runs(y, np.arange(400), "y").statistic > 0.95
    assert runs(rng.permutation(y), np.arange(400), "y").p > 0.001
    assert runs(np.zeros(400, int), np.arange(400), "y") is None


def test_under_random_order_p_is_uniform():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 500)
    p = [runs(rng.permutation(y), np.arange(500), "y").p for _ in range(300)]
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.001


def test_a_number_that_drifts_along_the_file():
    rng = np.random.default_rng(0)
    ids = np.arange(1000)
    assert drifting(rng.standard_normal(1000), ids, "x").p > 1e-4
    found = drifting(ids / 300 + rng.standard_normal(1000), ids, "x")
    want = scipy.stats.spearmanr(ids / 300 + np.random.default_rng(0).standard_normal(2000)[1000:], ids)
    assert found.statistic == pytest.approx(want.statistic, abs=0.05)
    assert found.p < 1e-20
