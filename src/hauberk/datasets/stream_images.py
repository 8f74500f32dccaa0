"""Folders of images, streamed file by file: a class a folder, train/ and test/ above them where they are."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image, UnidentifiedImageError

from hauberk.core.evidence import Digest
from hauberk.core.tables import Batch
from hauberk.crypto.merkle import Frontier, leaf_hash
from hauberk.datasets.pictures import SIDE, described, shrunk
from hauberk.datasets.streaming import Faults, Streamed, told

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_SPLITS = ("train", "test", "val", "valid", "validation", "dev")
_GREY = ("1", "L", "LA", "I;16", "I", "F")
_BATCH = 256
_BYTES = 256 << 20
_PIXELS = 100_000_000
"""Pixels of one image; more are refused before anything is decoded."""
_NO_PICTURE = dict.fromkeys(
    ("width", "height", "channels", "light", "shade", "sharpness", "information", "hash", "content")
)


def open_stream(path: Path, name: str) -> Streamed:
    """Open a folder; every image is a row, in the order of its path."""
    files = _files(path)
    tree = Frontier()
    return Streamed(
        name.rstrip("/"),
        "images",
        lambda faults: _batches(path, files, tree, faults),
        label="label" if any(len(Path(file).parts) > 1 for file in files) else "",
        names=lambda row: files[row] if 0 <= row < len(files) else str(row),
        digest=lambda: (Digest(name="files", value=f"merkle:{tree.root().hex()}"),) if files else (),
    )


def _files(root: Path) -> list[str]:
    found = []
    for base, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inner = Path(base).relative_to(root)
        found += [(inner / name).as_posix() for name in sorted(names) if name.lower().endswith(ENDINGS)]
    return sorted(found)


def _batches(root: Path, files: list[str], tree: Frontier, faults: Faults) -> Iterator[Batch]:
    if not files:
        faults.add("malformed", "has no image")
    for first in range(0, len(files), _BATCH):
        rows, looks = [], []
        for row, name in enumerate(files[first : first + _BATCH], first):
            picture = _read(root, name, row, tree, faults)
            rows.append({"file": name, **_place(name), **(_NO_PICTURE if picture is None else picture[0])})
            looks.append(np.zeros(SIDE * SIDE, np.float32) if picture is None else picture[1])
        frame = pl.DataFrame(rows, schema_overrides={"hash": pl.UInt64}, infer_schema_length=None)
        yield Batch(first, frame, np.stack(looks))


def _place(name: str) -> dict[str, str]:
    """Say by a file's folders which class and which part it belongs to."""
    parts = Path(name).parts[:-1]
    place = {"split": parts[0]} if parts and parts[0].lower() in _SPLITS else {}
    return place | ({"label": parts[-1]} if len(parts) > len(place) else {})


def _read(
    root: Path, name: str, row: int, tree: Frontier, faults: Faults
) -> tuple[dict[str, object], np.ndarray] | None:
    path = root / name
    if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
        faults.add("escape", "images are links that lead out of the folder", row)
        return None
    try:
        data = path.read_bytes() if path.stat().st_size <= _BYTES else b""
    except OSError as error:
        faults.add("unreadable", f"images cannot be read: {error.strerror}", row)
        return None
    digest = hashlib.sha256(data).digest()
    tree.push(leaf_hash(name.encode() + b"\0" + digest))
    pixels = _pixels(data, row, faults)
    if pixels is None:
        return None
    about = described(pixels[None]).row(0, named=True) | {"content": int.from_bytes(digest[:8], "big") >> 1}
    return about, shrunk(pixels.mean(0)[None], SIDE).ravel()


def _pixels(data: bytes, row: int, faults: Faults) -> np.ndarray | None:
    """Decode to (c, h, w) in [0, 1]; a picture that would unpack to a huge one is refused before it is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as file:
                if file.width * file.height > _PIXELS:
                    faults.add("limit", f"images have more than {_PIXELS // 1_000_000} million pixels", row)
                    return None
                if max(file.size) > 1024:
                    file.draft("RGB", (1024, 1024))
                grey = file.mode in _GREY
                image = file.convert("L" if grey else "RGB")
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        MemoryError,
        Image.DecompressionBombError,
    ) as error:
        faults.add("unreadable", f"images cannot be decoded ({type(error).__name__}: {_short(error)})", row)
        return None
    values = np.asarray(image, dtype=np.float32) / np.float32(255)
    return np.ascontiguousarray(values[None] if values.ndim == 2 else values.transpose(2, 0, 1))


def _short(error: BaseException) -> str:
    """Say what an error says without the address of the object it speaks of."""
    return told(error).partition("<")[0].strip() or "unknown"
