"""Tables from CSV and Parquet: kinds, ranges, categories, and what is refused."""

import polars as pl
import pytest

from hauberk.core.errors import DataError
from hauberk.core.project import ColumnSection, DataSection
from hauberk.datasets.opening import open_dataset

ROWS = {
    "age": [30, 41, 25, 60, 33, 52],
    "income": [1.5, 2.0, 3.25, 0.5, 1.0, 2.5],
    "job": ["clerk", "miner", "clerk", "nurse", "miner", "clerk"],
    "owner": [0, 1, 1, 0, 1, 0],
    "risk": ["bad", "good", "good", "bad", "good", "bad"],
}


def opened(folder, rows=ROWS, *, name="data.csv", **section):
    frame = pl.DataFrame(rows)
    frame.write_parquet(folder / name) if name.endswith("parquet") else frame.write_csv(folder / name)
    return open_dataset(DataSection(source=name, **{"label": "risk", **section}), folder)


@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_kinds_categories_and_ranges_come_from_the_data(tmp_path, name):
    data = opened(tmp_path, name=name, test_share=1.0)
    age, income, job, owner = data.spec.schema.columns
    assert (age.kind, age.low, age.high) == ("integer", 25, 60)
    assert (income.kind, income.low, income.high) == ("continuous", 0.5, 3.25)
    assert (job.kind, job.categories, job.high) == ("categorical", ("clerk", "miner", "nurse"), 2)
    assert (owner.kind, owner.low, owner.high) == ("boolean", 0, 1)
    assert data.spec.classes == ("bad", "good")
    rows = {tuple(row): label for row, label in zip(data.test.x.tolist(), data.test.y.tolist(), strict=True)}
    assert rows[(41.0, 2.0, 1.0, 1.0)] == 1
    assert rows[(60.0, 0.5, 2.0, 0.0)] == 0


def test_csv_and_parquet_of_the_same_table_have_the_same_digest(tmp_path):
    assert opened(tmp_path).spec.digest == opened(tmp_path, name="data.parquet").spec.digest


def test_what_is_declared_wins(tmp_path):
    columns = {
        "age": ColumnSection(immutable=True, sensitive=True, low=18, high=99),
        "owner": ColumnSection(kind="categorical"),
        "job": ColumnSection(categories=("nurse", "miner", "clerk"), group="g"),
        "income": ColumnSection(ignore=True),
    }
    data = opened(tmp_path, columns=columns, classes=("good", "bad"), test_share=1.0)
    age, job, owner = data.spec.schema.columns
    assert (age.low, age.high, age.immutable, age.sensitive) == (18, 99, True, True)
    assert (owner.kind, owner.categories) == ("categorical", ("0", "1"))
    assert job.group == "g"
    assert data.spec.bounds == (0, 99)
    assert "columns left out: income" in data.spec.notes
    rows = {row[0]: (row[1], label) for row, label in zip(data.test.x.tolist(), data.test.y.tolist(), strict=True)}
    assert rows[30.0] == (2.0, 1)


def changed(**columns):
    return {**ROWS, **columns}


@pytest.mark.parametrize(
    ("rows", "section", "message"),
    [
        (changed(income=[1.5, None, 3.2, 0.5, 1, 2]), {}, r"column income: row 1 is empty \(1 of 6"),
        (changed(income=[1.5, 2, float("nan"), 0.5, 1, 2]), {}, "column income: row 2 is nan"),
        (changed(income=[1.5, float("inf"), 1, 0.5, 1, 2]), {}, "column income: row 1 is inf"),
        (ROWS, {"columns": {"age": ColumnSection(high=50)}}, r"column age: row 3 is 60, outside the declared range"),
        (ROWS, {"columns": {"job": ColumnSection(categories=("clerk", "miner"))}}, 'row 3 is "nurse", which is no'),
        (ROWS, {"columns": {"income": ColumnSection(kind="integer")}}, "column income: row 0 is 1.5, not integer"),
        (ROWS, {"columns": {"job": ColumnSection(kind="integer")}}, 'column job: row 0 is "clerk", not a number'),
        (ROWS, {"columns": {"incme": ColumnSection()}}, 'no column "incme"[\\s\\S]*"income"'),
        (ROWS, {"label": "rsk"}, 'no column "rsk"[\\s\\S]*"risk"'),
        (ROWS, {"label": ""}, "label column is not named[\\s\\S]*age, income"),
        (ROWS, {"classes": ("good", "poor")}, 'row 0 has the label "bad"'),
        (changed(risk=["bad"] * 6), {}, 'every row has the label "bad"'),
        (changed(risk=["bad", None, "good", "good", "bad", "bad"]), {}, "row 1 has no label"),
        ({name: values[:0] for name, values in ROWS.items()}, {}, "no .*sample|cannot be read"),
    ],
)
def test_what_is_refused_names_row_and_column(tmp_path, rows, section, message):
    with pytest.raises(DataError, match=message):
        opened(tmp_path, rows, **section)


def test_a_stray_word_does_not_turn_numbers_into_categories(tmp_path):
    n = 30
    rows = {"amount": [*map(str, range(n - 1)), "NA"], "risk": ["bad", "good"] * (n // 2)}
    with pytest.raises(DataError, match='column amount: row 29 is "NA" among numbers'):
        opened(tmp_path, rows)


def test_training_rows_of_their_own(tmp_path):
    train = pl.DataFrame({**ROWS, "job": ["cook"] * 6, "age": [1, 2, 3, 4, 5, 6]})
    train.write_csv(tmp_path / "train.csv")
    data = opened(tmp_path, train="train.csv")
    assert (data.spec.train, data.spec.test) == (6, 6)
    assert data.spec.schema.columns[2].categories == ("clerk", "cook", "miner", "nurse")
    assert data.train.x[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
    train.drop("job").write_csv(tmp_path / "train.csv")
    with pytest.raises(DataError, match="differ in columns: job"):
        opened(tmp_path, train="train.csv")


def test_a_broken_file_is_a_clear_error(tmp_path):
    (tmp_path / "data.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        open_dataset(DataSection(source="data.parquet", label="y"), tmp_path)
    (tmp_path / "data.csv").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read as CSV"):
        open_dataset(DataSection(source="data.csv", label="y"), tmp_path)
    (tmp_path / "data.csv").write_bytes(b"a,b\n1,\xff\xfe\n")
    with pytest.raises(DataError):
        open_dataset(DataSection(source="data.csv", label="b"), tmp_path)


def test_numbers_float32_cannot_hold_are_noted(tmp_path):
    data = opened(tmp_path, changed(age=[2**24 + 1, 1, 2, 3, 4, 5]))
    assert any("age" in note and "2^24" in note for note in data.spec.notes)


def test_relations_are_read_and_rows_that_break_them_are_noted(tmp_path):
    data = opened(tmp_path, relations=("age >= 5*income", "age - owner >= 30"))
    first, second = data.spec.schema.relations
    assert (first.columns, first.weights, first.sense, first.value) == (("age", "income"), (-1.0, 5.0), "<=", 0.0)
    assert second.value == -30.0
    assert '1 of 6 rows break "age - owner >= 30"' in data.spec.notes
    assert not any("5*income" in note for note in data.spec.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [("age <= incme", 'no column "incme"'), ("age <= job", "categorical"), ("age <", "0 of <=")],
)
def test_a_relation_that_cannot_be_is_refused_with_its_place(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as error:
        opened(tmp_path, relations=("age >= 0", text))
    assert "data.relations.1" in str(error.value)
