"""The pass itself: expectations, profiles, distinct values, samples and blocks do not depend on the batches."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hauberk.core.errors import ProjectError
from hauberk.core.project import ColumnSection
from hauberk.core.relations import relation
from hauberk.core.tables import Batch
from hauberk.scanning.tables.blocks import ROWS, Blocks
from hauberk.scanning.tables.distinct import Seen, Sketch, groups
from hauberk.scanning.tables.expectations import Expectations
from hauberk.scanning.tables.keys import RowKeys
from hauberk.scanning.tables.profile import Profile
from hauberk.scanning.tables.sampling import Sampler
from hauberk.scanning.tables.typing import Typer


def cut(frame, sizes):
    """Cut a frame into batches of the given sizes, over and over."""
    start, i = 0, 0
    while start < len(frame):
        size = sizes[i % len(sizes)]
        yield Batch(start, frame.slice(start, size))
        start, i = start + size, i + 1


COLUMNS = {
    "n": ColumnSection(low=0, high=10, missing=0.25),
    "c": ColumnSection(categories=("a", "b")),
    "t": ColumnSection(pattern=r"[a-z]+\d", longest=3),
    "u": ColumnSection(unique=True),
    "o": ColumnSection(ordered="up"),
    "k": ColumnSection(kind="integer"),
    "b": ColumnSection(kind="boolean"),
}
FRAME = pl.DataFrame(
    {
        "n": [1.0, -1.0, float("nan"), None, 11.0, 5.0],
        "c": ["a", "z", None, "b", "a", "z"],
        "t": ["a1", "b22", None, "x9", "A1", "abcd1"],
        "u": [1, 2, 1, 3, 1, None],
        "o": [1, 3, 2, None, 3, 1],
        "k": [1.0, 1.5, 2.0, None, float("nan"), 3.0],
        "b": [0, 1, 2, None, 1, 0],
    }
)
BROKEN = {
    ("range", "n"): (1, 4),
    ("missing", "n"): (2, 3),
    ("values", "c"): (1, 5),
    ("pattern", "t"): (1, 4),
    ("length", "t"): (5,),
    ("unique", "u"): (2, 4),
    ("ordered", "o"): (2, 5),
    ("kind", "k"): (1,),
    ("kind", "b"): (2,),
}


@pytest.mark.parametrize("sizes", [(6,), (1,), (2, 3), (4, 1)])
def test_expectations_by_hand_whatever_the_batches(sizes):
    found = Expectations(COLUMNS, (relation("n <= o"),))
    for batch in cut(FRAME, sizes):
        found.add(batch.frame, batch.first)
    rows = {(one.check, one.column): one.broken.first for one in found.result() if one.check != "relation"}
    assert rows == BROKEN
    assert next(one for one in found.result() if one.check == "relation").broken.first == (4, 5)
    missing = next(one for one in found.result() if one.check == "missing")
    assert not missing.holds
    assert missing.share == 0.25


def test_a_pattern_that_cannot_be_run_in_linear_time_is_refused():
    for pattern in ("(", "(?=a)b", r"(a)\1"):
        with pytest.raises(ProjectError, match="pattern"):
            Expectations({"t": ColumnSection(pattern=pattern)}).add(FRAME, 0)


def test_declared_classes_hold_for_numbers_and_texts():
    found = Expectations({}, label="y", classes=("0", "1"))
    found.add(pl.DataFrame({"y": [0, 1, 2]}), 0)
    assert found.result()[0].broken.first == (2,)
    found = Expectations({}, label="y", classes=("no", "yes"))
    found.add(pl.DataFrame({"y": ["no", "maybe"]}), 0)
    assert found.result()[0].broken.first == (1,)


# --- typing


def test_texts_become_numbers_where_most_are_and_the_rest_is_told():
    raw = pl.DataFrame({"n": [" 1", "2.5", "NA", "x", *["3"] * 20], "t": ["a", "1", "", "b", *["c"] * 20]})
    typer = Typer(typed=False)
    frame = typer.typed(raw)
    assert frame["n"].to_list()[:4] == [1.0, 2.5, None, None]
    assert frame["t"].to_list()[:4] == ["a", "1", None, "b"]
    assert typer.words(raw, frame)["n"].arg_true().to_list() == [3]
    assert Typer(typed=False, textual=("n",)).typed(raw)["n"].dtype == pl.String
    assert Typer(typed=True).typed(pl.DataFrame({"f": [1.0, float("nan")]}))["f"].null_count() == 1


# --- profile


@pytest.mark.parametrize("sizes", [(1000,), (1,), (7, 300)])
def test_a_profile_is_that_of_the_whole(sizes):
    rng = np.random.default_rng(0)
    values = rng.standard_normal(400) * 1e3 + 1e6
    values[5] = np.nan
    values[9] = np.inf
    frame = pl.DataFrame({"x": values, "k": rng.integers(0, 5, 400), "i": range(400), "t": ["abc", None] * 200})
    profile, typer = Profile(), Typer(typed=True)
    for batch in cut(frame, sizes):
        profile.add(typer.typed(batch.frame), batch.first, {})
    x, k, i, t = profile.result()
    finite = values[np.isfinite(values)]
    assert (x.missing.first, x.infinite.first) == ((5,), (9,))
    assert x.mean == pytest.approx(finite.mean())
    assert x.deviation == pytest.approx(finite.std())
    assert (x.low, x.high) == (finite.min(), finite.max())
    assert not x.whole
    assert dict(k.common) == {str(v): int((frame["k"] == v).sum()) for v in range(5)}
    assert i.rising
    assert i.distinct == 400
    assert (t.longest, t.missing.count, t.distinct) == (3, 200, 1)


def test_a_column_that_comes_later_was_missing_before():
    profile = Profile()
    profile.add(pl.DataFrame({"a": [1]}), 0, {})
    profile.add(pl.DataFrame({"a": [2], "b": [3]}), 1, {})
    profile.add(pl.DataFrame({"b": [4]}), 2, {})
    a, b = profile.result()
    assert (a.missing.count, a.missing.first) == (1, (2,))
    assert (b.rows, b.missing.count) == (3, 1)


# --- distinct values


@given(st.lists(st.one_of(st.none(), st.integers(-3, 3)), max_size=60), st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_repeats_are_those_of_a_plain_set(values, size):
    seen, known, want = Seen(), set(), []
    for row, value in enumerate(values):
        if value is not None and value in known:
            want.append(row)
        known.add(value)
    for batch in cut(pl.DataFrame({"v": pl.Series(values, dtype=pl.Int64)}), (size,)):
        seen.add(batch.frame["v"], batch.first)
    found = seen.result()
    assert sorted(found.repeats.tolist()) == want
    assert found.distinct == len(known - {None})


def test_groups_name_the_first_row():
    seen = Seen()
    seen.add(pl.Series(["a", "b", "a", "c", "b", "a"]), 0)
    assert sorted(groups(seen.result())) == [(0, 2, 5), (1, 4)]


def test_beyond_what_fits_repeats_are_estimated_by_a_share_of_values():
    rng = np.random.default_rng(0)
    values = rng.permutation(np.concatenate((np.arange(40_000), np.arange(8_000))))
    seen = Seen(most=6_000)
    for batch in cut(pl.DataFrame({"v": values}), (5_000,)):
        seen.add(batch.frame["v"], batch.first)
    found = seen.result()
    assert found.share < 0.2
    assert found.total == pytest.approx(8_000, rel=0.15)
    assert found.distinct == pytest.approx(40_000, rel=0.15)
    first = {int(value): row for row, value in reversed(list(enumerate(values.tolist())))}
    assert all(first[int(values[row])] < row for row in found.repeats.tolist())


def test_a_sketch_counts_exactly_while_few_and_closely_beyond():
    sketch = Sketch(k=1024)
    for start in range(0, 100_000, 10_000):
        sketch.add(pl.Series([f"v{i % 500}" for i in range(start, start + 1000)]))
    assert sketch.count() == 500
    for start in range(0, 100_000, 10_000):
        sketch.add(pl.Series([f"w{i}" for i in range(start, start + 10_000)]))
    assert sketch.count() == pytest.approx(100_500, rel=0.15)


# --- row keys


def test_duplicates_conflicts_and_overlaps():
    frame = pl.DataFrame(
        {
            "id": [f"r{i}" for i in range(30)],
            "a": [1, 1, 2, *range(3, 29), 2],
            "b": ["x", "x", "y", *["z"] * 26, "y"],
            "y": ["p", "p", "q", *["p"] * 26, "p"],
            "split": ["train"] * 20 + ["test"] * 10,
        }
    )
    keys = RowKeys("y", "split")
    for batch in cut(frame, (30,)):
        keys.add(batch)
    found = keys.result(labelled=True)
    assert keys.identifiers == ("id",)
    assert found.repeats.groups == ((0, 1),)
    assert found.conflicts.groups == ((2, 29),)
    (overlap,) = found.overlaps
    assert (overlap.part, overlap.other, overlap.rows.first) == ("test", "train", (29,))


def test_pictures_are_equal_by_their_pixels():
    pixels = np.random.default_rng(0).random((6, 9), dtype=np.float32)
    pixels[4] = pixels[1]
    keys = RowKeys("y")
    keys.add(Batch(0, pl.DataFrame({"width": [3] * 6, "y": [0, 1, 0, 1, 0, 1]}), pixels))
    found = keys.result(labelled=True)
    assert found.repeats.rows.count == 0
    assert found.conflicts.groups == ((1, 4),)


# --- sample and blocks


def test_a_sample_does_not_depend_on_the_batches_and_is_fair():
    frame = pl.DataFrame({"a": range(20_000)})
    samples = []
    for sizes in ((20_000,), (999,), (17, 4_000)):
        sampler = Sampler(500)
        for batch in cut(frame, sizes):
            sampler.add(batch, batch.frame)
        samples.append(sampler.result())
    for sample in samples:
        assert sample.ids.tolist() == samples[0].ids.tolist()
        assert sample.frame["a"].to_list() == sample.ids.tolist()
        assert not sample.whole
    assert len(samples[0].ids) == 500
    assert np.mean(samples[0].ids) == pytest.approx(10_000, rel=0.1)
    small = Sampler(500)
    small.add(Batch(0, frame.head(100)), frame.head(100))
    assert small.result().whole


def test_the_root_of_blocks_does_not_depend_on_the_batches_and_changes_with_any_cell():
    frame = pl.DataFrame({"a": range(ROWS + 1000), "t": ["x"] * (ROWS + 1000), "f": [0.5] * (ROWS + 1000)})

    def root(data, sizes):
        blocks = Blocks()
        for batch in cut(data, sizes):
            blocks.add(batch)
        return blocks.root()

    whole = root(frame, (len(frame),))
    assert whole == root(frame, (999,)) == root(frame, (ROWS, 7))
    for changed in (
        frame.with_columns(pl.when(pl.col("a") == ROWS + 5).then(None).otherwise(pl.col("a")).alias("a")),
        frame.with_columns(pl.col("t").replace("x", "y")),
        frame.rename({"t": "u"}),
        frame.reverse(),
        frame.head(len(frame) - 1),
    ):
        assert root(changed, (5000,)) != whole
