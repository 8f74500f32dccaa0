"""Archives: what is refused, with the row it is refused for."""

import numpy as np
import pytest

from hauberk.core.errors import DataError, ProjectError
from hauberk.core.project import ColumnSection, DataSection
from hauberk.datasets.opening import open_dataset

RNG = np.random.default_rng(0)


def images(n=20, kind=np.float32):
    return RNG.random((n, 1, 4, 4)).astype(kind), np.arange(n) % 2


def opened(folder, bounds=None, *, section=None, **arrays):
    np.savez(folder / "data.npz", **arrays)
    return open_dataset(section or DataSection(source="data.npz"), folder, bounds=bounds)


def test_x_and_y_are_split(tmp_path):
    x, y = images()
    data = opened(tmp_path, x=x, y=y)
    assert (data.spec.train, data.spec.test, data.spec.shape) == (14, 6, (1, 4, 4))
    assert data.spec.layout == "chw"


def test_named_parts_stay_as_they_are(tmp_path):
    x, y = images()
    data = opened(tmp_path, x_train=x[:12], y_train=y[:12], x_test=x[12:], y_test=y[12:])
    assert np.array_equal(data.train.x, x[:12])
    assert np.array_equal(data.test.y, y[12:])


def test_bytes_are_grey_levels_and_said_so(tmp_path):
    x = np.zeros((4, 2, 2), np.uint8)
    x[0, 0, 0] = 255
    data = opened(tmp_path, x=x, y=np.array([0, 1, 0, 1]))
    assert data.spec.shape == (1, 2, 2)
    assert data.spec.bounds == (0.0, 1.0)
    assert any("divided by 255" in note for note in data.spec.notes)
    assert max(data.train.x.max(), data.test.x.max()) == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: x.__setitem__((7, 0, 1, 2), np.nan), r"row 7, value \(0, 1, 2\) is NaN \(1 of 20"),
        (lambda x, y: x.__setitem__((3, 0, 0, 0), np.inf), r"row 3.*infinite"),
        (lambda x, y: x.__setitem__((5, 0, 0, 1), 1.5), r"row 5.*is 1.5, outside the declared bounds \[0, 1\]"),
        (lambda x, y: y.__setitem__(4, -1), r"row 4 has the label -1, out of range"),
        (lambda x, y: y.__setitem__(slice(None), 1), r'every row has the label "1"'),
    ],
)
def test_bad_values_are_named(tmp_path, change, message):
    x, y = images()
    change(x, y)
    with pytest.raises(DataError, match=message):
        opened(tmp_path, (0.0, 1.0), x=x, y=y)


def test_labels_out_of_the_declared_classes(tmp_path):
    x, y = images()
    y[9] = 2
    with pytest.raises(DataError, match=r"row 9 has the label 2, out of range[\s\S]*0 to 1"):
        opened(tmp_path, section=DataSection(source="data.npz", classes=("cat", "dog")), x=x, y=y)


def test_label_names_that_are_no_class(tmp_path):
    x, _ = images(4)
    section = DataSection(source="data.npz", classes=("cat", "dog"))
    with pytest.raises(DataError, match=r'row 2 has the label "dgo"[\s\S]*"dog"'):
        opened(tmp_path, section=section, x=x, y=np.array(["cat", "dog", "dgo", "cat"]))


def test_label_values_follow_the_declared_order(tmp_path):
    x, _ = images(4)
    section = DataSection(source="data.npz", classes=("good", "bad"), test_share=1.0)
    data = opened(tmp_path, section=section, x=x, y=np.array(["bad", "good", "bad", "good"]))
    order = [int(np.flatnonzero((x == row).all((1, 2, 3)))[0]) for row in data.test.x]
    assert [[1, 0, 1, 0][i] for i in order] == data.test.y.tolist()


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((0, 1, 4, 4)), np.zeros(0, int), "no .*sample"),
        (np.zeros((4, 1, 4, 4)), np.zeros(3, int), "4 .*inputs and 3 labels"),
        (np.zeros((4, 1, 4, 4)), np.eye(4), r"labels have shape \(4, 4\)[\s\S]*argmax"),
        (np.zeros((4, 1, 4, 4)), np.array([0, 1, 0.5, 1]), "row 2 has the label 0.5, not a whole number"),
        (np.zeros(4), np.array([0, 1, 0, 1]), r"inputs have shape \(4,\)"),
        (np.zeros((4, 2), complex), np.array([0, 1, 0, 1]), "type complex128"),
    ],
)
def test_wrong_shapes_and_labels(tmp_path, x, y, message):
    with pytest.raises(DataError, match=message):
        opened(tmp_path, x=x, y=y)


def test_an_archive_of_objects_is_refused(tmp_path):
    with pytest.raises(DataError, match="objects can run code"):
        opened(tmp_path, x=np.array([{}, {}], dtype=object), y=np.array([0, 1]))


def test_a_broken_or_missing_archive(tmp_path):
    (tmp_path / "data.npz").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(DataError, match="cannot be read"):
        open_dataset(DataSection(source="data.npz"), tmp_path)
    with pytest.raises(DataError, match=r'did you mean "data\.npz"'):
        open_dataset(DataSection(source="dat.npz"), tmp_path)
    with pytest.raises(ProjectError, match="do not know how to open"):
        open_dataset(DataSection(source="data.xlsx"), tmp_path)


def test_missing_arrays_are_named(tmp_path):
    with pytest.raises(DataError, match="holds images, labels"):
        opened(tmp_path, images=np.zeros(2), labels=np.zeros(2))


def test_imbalance_leaks_and_missing_classes_are_noted(tmp_path):
    x, _ = images(44)
    y = np.array([0] * 40 + [1] * 4)
    section = DataSection(source="data.npz", classes=("a", "b", "c"))
    notes = " ".join(opened(tmp_path, section=section, x=x, y=y).spec.notes)
    assert "40 rows of a, 4 of b" in notes
    assert "no row of class c" in notes
    same = opened(tmp_path, x_train=x[:20], y_train=y[:20], x_test=x[18:], y_test=y[18:])
    assert any(note.startswith("2 of 26 test rows are also training rows") for note in same.spec.notes)


def test_rows_get_a_schema_with_kinds_from_their_type(tmp_path):
    x = np.array([[0, 5], [1, 7], [0, 9], [1, 9]])
    section = DataSection(source="data.npz", columns={"x1": ColumnSection(immutable=True)})
    data = opened(tmp_path, section=section, x=x, y=np.array([0, 1, 0, 1]))
    first, second = data.spec.schema.columns
    assert (first.kind, second.kind, second.immutable) == ("boolean", "integer", True)
    assert (second.low, second.high) == (5, 9)
    assert data.spec.bounds == (0, 9)


def test_the_digest_is_of_content(tmp_path):
    x, y = images()
    one = opened(tmp_path, x=x, y=y).spec.digest
    assert one == opened(tmp_path, x=x, y=y.astype(np.int32)).spec.digest
    x[0, 0, 0, 0] += 1e-3
    assert one != opened(tmp_path, x=x, y=y).spec.digest


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5])
def test_an_impossible_share_is_refused(tmp_path, share):
    x, y = images()
    with pytest.raises(DataError, match="test_share"):
        opened(tmp_path, section=DataSection(source="data.npz", test_share=share), x=x, y=y)


@pytest.mark.parametrize(
    ("shape", "layout", "expected"),
    [((8, 16), "wave", (16,)), ((8, 3, 1, 4, 4), None, (3, 1, 4, 4)), ((8, 5), "tokens", (5,))],
)
def test_sounds_clips_and_texts_keep_their_shape(tmp_path, shape, layout, expected):
    x = RNG.integers(0, 9, shape).astype(np.float32)
    data = opened(tmp_path, section=DataSection(source="data.npz", layout=layout), x=x, y=np.arange(8) % 2)
    assert data.spec.layout == (layout or "frames")
    assert (data.spec.shape, data.spec.schema, data.spec.shown()) == (expected, None, None)
    assert data.test.x.dtype == np.float32


def test_a_layout_that_does_not_fit_says_its_axes(tmp_path):
    x, y = images()
    with pytest.raises(DataError, match=r"give frames as \(n, frames, channels, height, width\)"):
        opened(tmp_path, section=DataSection(source="data.npz", layout="frames"), x=x, y=y)
