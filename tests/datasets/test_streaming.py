"""Readers of every kind: what they give of real files, and that what is broken becomes a fault, never an exception."""

from __future__ import annotations

import io
import json
import random
import sqlite3
import zipfile

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hauberk.core.errors import DataError
from hauberk.datasets import stream_arrays, stream_images, stream_json_lines, stream_parquet
from hauberk.datasets.pictures import described, shrunk, vectors
from hauberk.datasets.streaming import open_stream, streams


def read(folder, source):
    stream = open_stream(folder, source)
    batches = list(stream.batches())
    frames = [batch.frame for batch in batches]
    return (pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()), stream, batches


def kinds(stream):
    return [fault.kind for fault in stream.faults()]


# --- Parquet


@pytest.fixture
def table():
    return pl.DataFrame({"a": range(1000), "b": [float(i) for i in range(1000)], "c": [f"t{i}" for i in range(1000)]})


def test_parquet_keeps_rows_and_types(tmp_path, table):
    table.write_parquet(tmp_path / "a.parquet", row_group_size=300)
    frame, stream, batches = read(tmp_path, "a.parquet")
    assert frame.equals(table)
    assert stream.typed
    assert batches[0].first == 0


@pytest.mark.parametrize("cut", [0, 3, 100, 0.5, -1, -9])
def test_a_cut_off_parquet_is_a_fault(tmp_path, table, cut):
    table.write_parquet(tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(data[: int(len(data) * cut) if isinstance(cut, float) else cut])
    _, stream, _ = read(tmp_path, "b.parquet")
    assert kinds(stream) == ["malformed"]


def test_a_parquet_with_a_broken_page_tells_how_far_it_was_read(tmp_path, table):
    table.write_parquet(tmp_path / "a.parquet", compression="zstd")
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    for place in random.Random(3).sample(range(20, len(data) // 2), 200):
        data[place] ^= 0xFF
    (tmp_path / "b.parquet").write_bytes(bytes(data))
    _, stream, _ = read(tmp_path, "b.parquet")
    assert kinds(stream) in (["malformed"], ["truncated"])


def test_a_parquet_that_would_burst_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(
        stream_parquet, "DEFAULT_LIMITS", type(stream_parquet.DEFAULT_LIMITS)(member_bytes=1 << 16, ratio=20.0)
    )
    wide = pa.table({"a": ["x" * 100_000] * 50})
    pq.write_table(wide, tmp_path / "a.parquet", compression="zstd", use_dictionary=False)
    _, stream, batches = read(tmp_path, "a.parquet")
    assert kinds(stream) == ["limit"]
    assert batches == []


def test_a_parquet_without_rows(tmp_path, table):
    table.head(0).write_parquet(tmp_path / "a.parquet")
    frame, stream, _ = read(tmp_path, "a.parquet")
    assert frame.shape == (0, 3)
    assert kinds(stream) == []


# --- NumPy


def test_npz_rows_pictures_and_parts(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", x=rng.random((40, 3)), y=np.arange(40) % 2)
    frame, stream, _ = read(tmp_path, "a.npz")
    assert frame.columns == ["x0", "x1", "x2", "y"]
    assert stream.label == "y"
    images = {"x_train": rng.integers(0, 256, (20, 8, 8), np.uint8), "y_train": np.arange(20) % 2}
    images |= {"x_test": rng.integers(0, 256, (10, 8, 8), np.uint8), "y_test": np.arange(10) % 2}
    np.savez_compressed(tmp_path / "b.npz", **images)
    frame, _, batches = read(tmp_path, "b.npz")
    assert frame["split"].value_counts().sort("split")["count"].to_list() == [10, 20]
    assert batches[0].vectors.shape == (20, 64)
    assert batches[1].first == 20
    np.testing.assert_allclose(batches[0].vectors[0], images["x_train"][0].ravel() / 255, rtol=1e-6)


def test_a_wide_array_is_looked_at_as_a_whole_and_its_gaps_are_counted(tmp_path):
    x = np.ones((5, 1000), np.float32)
    x[2, 7] = np.nan
    np.save(tmp_path / "a.npy", x)
    frame, _, (batch,) = read(tmp_path, "a.npy")
    assert frame["not_finite"].to_list() == [0, 0, 1, 0, 0]
    assert batch.vectors.shape == (5, 1000)


def test_arrays_of_objects_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{"a": 1}], dtype=object), y=np.zeros(1))
    _, stream, batches = read(tmp_path, "a.npz")
    assert "objects" in stream.faults()[0].message
    assert batches == []


@pytest.mark.parametrize("name", ["../evil.npy", "/etc/x.npy", "a/../../x.npy", "C:x.npy", "..\\x.npy"])
def test_a_member_that_leads_out_is_told(tmp_path, name):
    x = io.BytesIO()
    np.save(x, np.zeros((4, 2)))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr(name, x.getvalue())
        archive.writestr("x.npy", x.getvalue())
    frame, stream, _ = read(tmp_path, "a.npz")
    assert kinds(stream) == ["escape"]
    assert len(frame) == 4


def test_a_member_that_bursts_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(
        stream_arrays, "DEFAULT_LIMITS", type(stream_arrays.DEFAULT_LIMITS)(member_bytes=1 << 16, ratio=50.0)
    )
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((1000, 100)), y=np.zeros(1000))
    _, stream, _ = read(tmp_path, "a.npz")
    assert "limit" in kinds(stream)


def test_a_cut_off_array_gives_its_first_rows(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((200_000, 40)))
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "b.npy").write_bytes(data[:-8])
    _, stream, _ = read(tmp_path, "b.npy")
    assert kinds(stream) in (["truncated"], ["malformed"])


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00\xff\xff", b"not numpy at all"])
def test_what_is_no_numpy_file_is_a_fault(tmp_path, data):
    for name in ("a.npz", "a.npy"):
        (tmp_path / name).write_bytes(data)
        _, stream, batches = read(tmp_path, name)
        assert kinds(stream) == ["malformed"], name
        assert batches == []


def test_inputs_and_labels_of_different_length(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 2)), y=np.zeros(3))
    _, stream, _ = read(tmp_path, "a.npz")
    assert "4 inputs and 3 labels" in stream.faults()[0].message


# --- images


def picture(path, size=(40, 30), colour=(10, 200, 30), kind="PNG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, kind)


def test_an_image_folder_gives_classes_parts_and_names(tmp_path):
    picture(tmp_path / "d/train/cat/1.png")
    picture(tmp_path / "d/train/dog/2.jpg", size=(64, 64), kind="JPEG")
    picture(tmp_path / "d/test/cat/3.png")
    frame, stream, _ = read(tmp_path, "d")
    assert frame["label"].to_list() == ["cat", "cat", "dog"]
    assert frame["split"].to_list() == ["test", "train", "train"]
    assert (frame["width"].to_list(), frame["height"].to_list()) == ([40, 40, 64], [30, 30, 64])
    assert stream.row_name(2) == "train/dog/2.jpg"
    assert frame["content"][0] == frame["content"][1]
    assert stream.digests()[0].value.startswith("merkle:")


def test_broken_images_are_told_by_row(tmp_path):
    picture(tmp_path / "d/a/1.png")
    (tmp_path / "d/a/2.png").write_bytes(b"no image")
    data = (tmp_path / "d/a/1.png").read_bytes()
    (tmp_path / "d/a/3.png").write_bytes(data[: len(data) // 2])
    (tmp_path / "d/a/4.png").write_bytes(b"")
    frame, stream, _ = read(tmp_path, "d")
    assert frame["width"].is_null().to_list() == [False, True, True, True]
    assert sorted(row for fault in stream.faults() for row in fault.rows.first) == [1, 2, 3]


def test_an_image_that_would_burst_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(stream_images, "_PIXELS", 1000)
    picture(tmp_path / "d/a/1.png", size=(100, 100))
    frame, stream, _ = read(tmp_path, "d")
    assert kinds(stream) == ["limit"]
    assert frame["width"].to_list() == [None]


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    picture(tmp_path / "outside.png")
    picture(tmp_path / "d/a/1.png")
    (tmp_path / "d/a/2.png").symlink_to(tmp_path / "outside.png")
    _, stream, _ = read(tmp_path, "d")
    assert kinds(stream) == ["escape"]


def test_a_folder_without_images(tmp_path):
    (tmp_path / "d").mkdir()
    _, stream, _ = read(tmp_path, "d")
    assert kinds(stream) == ["malformed"]


def test_numbers_of_pictures():
    black, white = np.zeros((1, 1, 40, 40), np.float32), np.ones((1, 1, 40, 40), np.float32)
    noise = np.random.default_rng(0).random((1, 1, 40, 40), dtype=np.float32)
    about = described(np.concatenate((black, white, noise)))
    assert about["light"].to_list()[:2] == [0.0, 1.0]
    assert about["information"][0] == 0
    assert about["information"][2] > 7
    assert about["sharpness"][2] > 1000 > about["sharpness"][1] == 0
    # the mean of a cell is exact where cells do not divide the side
    grey = np.arange(36, dtype=np.float32).reshape(1, 6, 6)
    assert shrunk(grey, 4).mean() == pytest.approx(grey.mean(), rel=1e-6)
    assert vectors(noise).shape == (1, 1600)


def test_a_perceptual_hash_survives_scaling_and_light():
    rng = np.random.default_rng(1)
    image = np.asarray(Image.fromarray((rng.random((8, 8)) * 255).astype(np.uint8)).resize((64, 64), Image.BICUBIC))
    small = np.asarray(Image.fromarray(image).resize((48, 48), Image.BICUBIC))
    one, two, other = (described((a / 255).astype(np.float32)[None, None])["hash"][0] for a in (image, small, image.T))
    assert (one ^ two).bit_count() <= 6
    assert (one ^ other).bit_count() >= 16


# --- JSON Lines


def test_json_lines_flatten_one_level_and_tell_what_is_no_object(tmp_path):
    lines = [json.dumps({"text": "a", "meta": {"lang": "de", "n": [1, 2]}, "y": 1}), "{broken", "[1]", "", '{"y": 2.5}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    frame, stream, _ = read(tmp_path, "a.jsonl")
    assert frame["meta.lang"].to_list() == ["de", None, None, None]
    assert frame["meta.n"][0] == "[1,2]"
    assert frame["y"].to_list() == [1.0, None, None, 2.5]
    assert [fault.rows.first for fault in stream.faults()] == [(1,), (2,)]


def test_a_key_of_several_types_becomes_text(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": "x"}\n{"a": true}\n{"a": 123456789012345678901234567890}\n')
    frame, _, _ = read(tmp_path, "a.jsonl")
    assert frame["a"].to_list()[:3] == ["1", "x", "true"]


def test_a_line_without_end_and_a_flood_of_keys_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(stream_json_lines, "_LINE", 1 << 20)
    (tmp_path / "a.jsonl").write_bytes(b'{"a": "' + b"x" * (3 << 20) + b'"}\n{"a": "b"}\n')
    frame, stream, _ = read(tmp_path, "a.jsonl")
    assert frame["a"].to_list() == ["b"]
    assert kinds(stream) == ["limit"]
    (tmp_path / "b.jsonl").write_text("\n".join(json.dumps({f"k{i}": 1}) for i in range(5000)))
    frame, stream, _ = read(tmp_path, "b.jsonl")
    assert frame.width <= 2001
    assert kinds(stream) == ["limit"]


# --- Arrow


def save_arrow(path, frame):
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, frame.to_arrow().schema) as writer:
        writer.write_table(frame.to_arrow())


def test_a_saved_data_set_folder_gives_its_shards_in_order(tmp_path, table):
    for part, rows in (("train", table.head(600)), ("test", table.tail(400))):
        save_arrow(tmp_path / "d" / part / "data-00000-of-00001.arrow", rows)
        state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}
        (tmp_path / "d" / part / "state.json").write_text(json.dumps(state))
    (tmp_path / "d" / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    frame, stream, _ = read(tmp_path, "d")
    assert frame["a"].to_list() == list(range(1000))
    assert frame["split"].to_list() == ["train"] * 600 + ["test"] * 400
    assert stream.digests()[0].name == "files"


def test_a_record_that_names_a_file_outside_is_refused(tmp_path, table):
    save_arrow(tmp_path / "secret.arrow", table)
    (tmp_path / "d").mkdir()
    state = {"_data_files": [{"filename": "../secret.arrow"}, {"filename": "gone.arrow"}]}
    (tmp_path / "d" / "state.json").write_text(json.dumps(state))
    frame, stream, _ = read(tmp_path, "d")
    assert frame.is_empty()
    assert kinds(stream) == ["escape", "truncated"]


def test_arrow_files_and_broken_ones(tmp_path, table):
    table.write_ipc(tmp_path / "a.arrow")
    frame, _, _ = read(tmp_path, "a.arrow")
    assert frame.equals(table)
    data = (tmp_path / "a.arrow").read_bytes()
    for cut in (0, 10, len(data) // 2):
        (tmp_path / "b.arrow").write_bytes(data[:cut])
        _, stream, _ = read(tmp_path, "b.arrow")
        assert kinds(stream) == ["malformed"]


# --- SQL


@pytest.fixture
def database(tmp_path):
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute('create table "lo ans" (id integer primary key, amount real, note text)')
        connection.executemany('insert into "lo ans" values (?, ?, ?)', [(i, i / 2, f"n{i}") for i in range(500)])
        connection.execute('insert into "lo ans" values (900, null, null)')
    return tmp_path


def test_a_table_of_a_database(database):
    frame, stream, _ = read(database, "sqlite:///a.db#lo ans")
    assert frame.shape == (501, 3)
    assert frame["amount"][3] == 1.5
    assert stream.name == "sqlite:///a.db#lo ans"
    assert kinds(stream) == []


def test_addresses_that_name_nothing(database, monkeypatch):
    for source, said in (("sqlite:///a.db", "no table"), ("sqlite:///gone.db#a", "no file")):
        with pytest.raises(DataError, match=said):
            read(database, source)
    assert kinds(read(database, "nonsense://x#a")[1]) == ["malformed"]
    with pytest.raises(DataError, match="lo ans"):
        read(database, "sqlite:///a.db#lo_ans")
    with pytest.raises(DataError, match="is not set"):
        read(database, "sqlite:///$NOWHERE_SET#a")


def test_no_table_name_is_ever_run(database):
    with pytest.raises(DataError):
        read(database, 'sqlite:///a.db#"lo ans"; drop table "lo ans"; --')
    assert len(read(database, "sqlite:///a.db#lo ans")[0]) == 501


def test_a_password_is_not_in_the_name(monkeypatch):
    monkeypatch.setenv("PASSWORD", "hunter2/secret")
    pytest.importorskip("psycopg")
    stream = open_stream(None, "postgresql+psycopg://me:$PASSWORD@127.0.0.1:1/db#t")
    assert "hunter2" not in stream.name
    assert "me" not in stream.name


# --- choosing


def test_what_is_not_there_or_not_known_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no file"):
        open_stream(tmp_path, "gone.csv")
    (tmp_path / "a.xyz").touch()
    with pytest.raises(DataError, match="no reader"):
        open_stream(tmp_path, "a.xyz")
    assert streams("A.CSV.GZ")
    assert not streams("model.onnx")


def test_bundled_data_streams(tmp_path):
    frame, stream, batches = read(tmp_path, "bundled:digits")
    assert len(frame) == 1797
    assert batches[0].vectors.shape[1] == 64
    assert stream.label == "y"


def test_a_bomb_is_what_was_not_looked_at_and_nothing_else(tmp_path, monkeypatch):
    few = msgspec.structs.replace(stream_arrays.DEFAULT_LIMITS, member_bytes=1 << 16, ratio=100.0)
    monkeypatch.setattr(stream_arrays, "DEFAULT_LIMITS", few)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        held = io.BytesIO()
        np.save(held, np.zeros(1_000_000))
        archive.writestr("x.npy", held.getvalue())
    frame, stream, _ = read(tmp_path, "bomb.npz")
    assert len(frame) == 0
    assert kinds(stream) == ["limit"]
