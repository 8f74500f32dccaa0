"""NumPy arrays, streamed from .npy and .npz without unpacking them whole; objects are refused, names are watched."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.lib import format as npy

from hauberk.core.limits import DEFAULT_LIMITS
from hauberk.core.tables import Batch
from hauberk.datasets.pictures import described, vectors
from hauberk.datasets.streaming import Faults, Streamed, rows_for, told

_COLUMNS = 256
"""Columns up to which rows of numbers are looked at one by one; wider ones as a whole."""
_PARTS = (("x_train", "y_train", "train"), ("x_val", "y_val", "validation"), ("x_test", "y_test", "test"))


class Source(Protocol):
    """An array that gives its rows in order."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def take(self, rows: int) -> np.ndarray:
        """Return the next rows."""
        ...


class _Part(NamedTuple):
    """Inputs, their labels (or none), and the part of the data they belong to."""

    x: Source
    y: Source | None
    split: str


def open_stream(path: Path, name: str) -> Streamed:
    """Open an array, or an archive of x and y, or of x_train, y_train, x_test, y_test."""
    return Streamed(name, "arrays", lambda faults: _batches(path, faults), file=path, label="y")


def _batches(path: Path, faults: Faults) -> Iterator[Batch]:
    with ExitStack() as open_files:
        try:
            parts = _npy(path, open_files) if path.suffix.lower() == ".npy" else _npz(path, open_files, faults)
        except (ValueError, zipfile.BadZipFile, OSError, NotImplementedError) as error:
            faults.add("malformed", f"is no NumPy file: {told(error)}")
            return
        first = 0
        for part in parts:
            try:
                for batch in pieces(part.x, part.y, part.split if len(parts) > 1 else "", first):
                    yield batch
                    first = batch.first + len(batch.frame)
            except (ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
                faults.add("truncated", f"reading ended after {first} rows: {told(error)}")


def pieces(x: Source, y: Source | None, split: str, first: int) -> Iterator[Batch]:
    """Cut inputs and labels into batches: pictures are described, rows become columns; raises ValueError."""
    if x.dtype.kind not in "biuf":
        raise ValueError(f"inputs are of type {x.dtype}")
    if y is not None and y.shape[:1] != x.shape[:1]:
        raise ValueError(f"{x.shape[0]} inputs and {y.shape[0]} labels")
    total = x.shape[0] if x.shape else 0
    size = rows_for(math.prod(x.shape[1:]))
    for start in range(0, max(total, 1), size):
        count = min(size, total - start)
        frame, whole = _frame(x.take(count))
        if y is not None:
            frame = frame.with_columns(_label(y.take(count)))
        if split:
            frame = frame.with_columns(pl.lit(split).alias("split"))
        yield Batch(first + start, frame, whole)


def _frame(x: np.ndarray) -> tuple[pl.DataFrame, np.ndarray | None]:
    if x.ndim in (3, 4):
        pixels = _pixels(x)
        return described(pixels), vectors(pixels)
    flat = x.reshape(len(x), -1) if x.ndim > 1 else x[:, None]
    if flat.shape[1] <= _COLUMNS:
        return pl.DataFrame({f"x{i}": np.ascontiguousarray(flat[:, i]) for i in range(flat.shape[1])}), None
    values = np.ascontiguousarray(flat, dtype=np.float32)
    bad = ~np.isfinite(values)
    return pl.DataFrame({"not_finite": bad.sum(1).astype(np.int32)}), np.where(bad, np.float32(0), values)


def _pixels(x: np.ndarray) -> np.ndarray:
    """Bring pictures to (n, c, h, w) float32 in [0, 1]; bytes are divided by 255, other ranges by their largest."""
    if x.ndim == 3:
        x = x[:, None]
    elif x.shape[1] not in (1, 3, 4) and x.shape[3] in (1, 3, 4):
        x = x.transpose(0, 3, 1, 2)
    values = np.nan_to_num(x.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    top = 255.0 if x.dtype == np.uint8 else max(1.0, float(np.abs(values).max(initial=1.0)))
    return np.ascontiguousarray(values / np.float32(top))


def _label(y: np.ndarray) -> pl.Series:
    if y.ndim == 2 and y.shape[1] > 1:
        y = y.argmax(1)
    flat = y.reshape(len(y), -1)[:, 0] if y.ndim > 1 else y
    return pl.Series("y", flat.astype(str) if flat.dtype.kind in "SU" else flat)


def _npy(path: Path, open_files: ExitStack) -> list[_Part]:
    return [_Part(_Stored(open_files.enter_context(path.open("rb")), path.stat().st_size), None, "")]


def _npz(path: Path, open_files: ExitStack, faults: Faults) -> list[_Part]:
    archive = open_files.enter_context(zipfile.ZipFile(path))
    held: dict[str, Source] = {}
    bounded = False
    for info in archive.infolist()[: DEFAULT_LIMITS.members]:
        name = info.filename
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
            faults.add("escape", f"a member is named {name[:80]!r}, which leads out of the folder it is unpacked into")
            continue
        if info.file_size > DEFAULT_LIMITS.member_bytes and info.file_size > DEFAULT_LIMITS.ratio * info.compress_size:
            bounded = True
            faults.add(
                "limit", f"{name[:80]!r} unpacks to {info.file_size // max(info.compress_size, 1)} times its size"
            )
            continue
        try:
            held[name.removesuffix(".npy").lower()] = _Stored(
                open_files.enter_context(archive.open(info)), info.file_size
            )
        except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            faults.add("malformed", f"{name[:80]!r} is no array: {told(error)}")
    parts = [_Part(held[x], held.get(y), split) for x, y, split in _PARTS if x in held]
    if not parts and "x" in held:
        parts = [_Part(held["x"], held.get("y"), "")]
    if not parts and not bounded:
        faults.add("malformed", f"holds {', '.join(sorted(held)[:8]) or 'nothing'}: name arrays x and y")
    return parts


class _Stored:
    """The rows of one stored array, read in order; raises ValueError for objects, Fortran order and cut-off files."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        self.shape, fortran, self.dtype = read(file, max_header_size=10_000)
        if self.dtype.hasobject:
            raise ValueError("it holds Python objects: reading them can run code")
        if fortran and len(self.shape) > 1:
            raise ValueError("it is stored column by column; save numpy.ascontiguousarray(x)")
        if math.prod(self.shape) * self.dtype.itemsize > size:
            raise ValueError(f"it says shape {self.shape}, which is more than its {size} bytes")
        self._file = file

    def take(self, rows: int) -> np.ndarray:
        """Return the next rows; raises EOFError where the file ends."""
        shape = (rows, *self.shape[1:])
        wanted = math.prod(shape) * self.dtype.itemsize
        data = self._file.read(wanted) if wanted else b""
        if len(data) != wanted:
            raise EOFError("the array ends in the middle")
        return np.frombuffer(data, self.dtype).reshape(shape)
