"""Image folders: layout, and files that are refused by name."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from hauberk.core.errors import DataError
from hauberk.core.project import DataSection
from hauberk.datasets.opening import open_dataset


def folder(root, *, mode="L", size=(6, 4), n=5):
    for level, name in enumerate(("ant", "bee")):
        (root / name).mkdir(parents=True)
        for i in range(n):
            Image.new(mode, size, (40 * level + i,) * len(mode) if mode != "L" else 40 * level + i).save(
                root / name / f"{i}.png"
            )


def opened(root, **section):
    return open_dataset(DataSection(source="images", **section), root)


def test_one_sub_folder_is_one_class(tmp_path):
    folder(tmp_path / "images")
    data = opened(tmp_path, test_share=1.0)
    assert data.spec.shape == (1, 4, 6)
    assert data.spec.classes == ("ant", "bee")
    grey = np.round(data.test.x[:, 0, 0, 0] * 255).astype(int)
    assert ((grey >= 40).astype(int) == data.test.y).all()


def test_colour_and_size(tmp_path):
    folder(tmp_path / "images", mode="RGB")
    assert opened(tmp_path, size=(3, 2)).spec.shape == (3, 3, 2)


def test_train_and_test_folders(tmp_path):
    folder(tmp_path / "images" / "train", n=4)
    folder(tmp_path / "images" / "test", n=3)
    data = opened(tmp_path)
    assert (data.spec.train, data.spec.test) == (8, 6)
    assert data.spec.classes == ("ant", "bee")


def test_images_of_two_sizes_need_a_size(tmp_path):
    folder(tmp_path / "images")
    Image.new("L", (3, 3)).save(tmp_path / "images/bee/9.png")
    with pytest.raises(DataError, match=r"bee/9.png: is 3×3, 0.png is 4×6[\s\S]*data.size"):
        opened(tmp_path)


def test_a_broken_image_is_named(tmp_path):
    folder(tmp_path / "images")
    (tmp_path / "images/ant/2.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    with pytest.raises(DataError, match=r"ant/2\.png: cannot be decoded"):
        opened(tmp_path)


def test_an_image_bomb_is_refused_before_it_unpacks(tmp_path):
    folder(tmp_path / "images")

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "images/ant/bomb.png").write_bytes(bomb)
    with pytest.raises(DataError, match=r"ant/bomb\.png: is too large"):
        opened(tmp_path)


def test_an_empty_folder(tmp_path):
    (tmp_path / "images" / "ant").mkdir(parents=True)
    with pytest.raises(DataError, match="has no image"):
        opened(tmp_path)
