"""Read the rows of CSV, JSON Lines, Parquet and npz files as bytes, in bounded memory: the same table, the same bytes.

A row of text is its line without the line's end. A row of typed columns is each value's bytes in the order of the
columns, a byte before each that says whether it is there, and a length before each that varies; every NaN is one NaN.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from blake3 import blake3

from hauberk.sealing.row_blocks import Rows, as_array, digested

if TYPE_CHECKING:
    import polars as pl

SUFFIXES = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".npz": "npz"}
_PIECE, _BATCH = 8 << 20, 65_536
_LENGTH = struct.Struct("<I")
_LINE = 64 << 20


class Unreadable(Exception):
    """A file whose rows cannot be told; the message says why."""


def rows_of(path: Path) -> Rows | None:
    """Digest every row of a table; None for a file of another kind. Raises Unreadable."""
    kind = SUFFIXES.get(path.suffix.lower(), "")
    try:
        if kind in ("csv", "jsonl"):
            return _lines(path, kind)
        if kind == "parquet":
            return _parquet(path)
        return _npz(path) if kind == "npz" else None
    except ModuleNotFoundError as error:
        raise Unreadable(f"{error.name} is not installed") from error
    except Unreadable:
        raise
    except Exception as error:  # each library has its own errors for a broken file
        raise Unreadable(
            f"cannot be read as {kind}: {str(error).splitlines()[0][:120] if str(error) else kind}"
        ) from error


def _lines(path: Path, kind: str) -> Rows:
    """Digest lines; of CSV the first is the header, and a line's end inside quotes is none."""
    header, parts = b"", []
    first = kind == "csv"
    for lines in _records(path, quoted=kind == "csv"):
        if first and lines:
            header, lines, first = lines[0], lines[1:], False
        parts.append(digested(line for line in lines if line))
    return Rows(kind, blake3(header).hexdigest() if kind == "csv" else "", as_array(parts))


def _records(path: Path, *, quoted: bool) -> Iterator[list[bytes]]:
    """Yield whole records piece by piece."""
    rest = b""
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            whole = rest + piece
            lines = whole.split(b"\n")
            rest = lines.pop()
            if quoted and b'"' in whole:
                lines, open_one = _joined(lines)
                rest = open_one + rest
            if len(rest) > _LINE:
                raise Unreadable("a line is longer than 64 MiB")
            yield [line.removesuffix(b"\r") for line in lines]
    yield [rest.removesuffix(b"\r")] if rest else []


def _joined(lines: list[bytes]) -> tuple[list[bytes], bytes]:
    """Join lines whose end stands inside quotes → the whole ones, and the beginning of one that is not."""
    whole: list[bytes] = []
    held: list[bytes] = []
    for line in lines:
        odd = line.count(b'"') % 2 == 1
        if held:
            held.append(line)
            if odd:
                whole.append(b"\n".join(held))
                held = []
        elif odd:
            held = [line]
        else:
            whole.append(line)
    return whole, b"\n".join([*held, b""]) if held else b""


def _parquet(path: Path) -> Rows:
    import polars as pl
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        names = [f"{field.name}:{field.type}" for field in file.schema_arrow]
        parts = []
        for batch in file.iter_batches(batch_size=_BATCH):
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            parts.append(digested(_frame_rows(frame)))
    return Rows("parquet", blake3("\n".join(names).encode()).hexdigest(), as_array(parts))


def _frame_rows(frame: pl.DataFrame) -> Iterator[bytes | memoryview]:
    """Yield the rows of typed columns as bytes."""
    fixed: list[np.ndarray] = []
    varying: list[list[bytes]] = []
    for series in frame.get_columns():
        fixed.append(series.is_not_null().to_numpy().astype(np.uint8)[:, None])
        kind = series.dtype
        if (kind.is_numeric() and not kind.is_decimal()) or kind.is_temporal() or str(kind) == "Boolean":
            fixed.append(_fixed(series))
        else:
            varying.append(_varying(series))
    plain = np.concatenate(fixed, 1) if fixed else np.zeros((len(frame), 0), np.uint8)
    raw, width = memoryview(np.ascontiguousarray(plain).tobytes()), plain.shape[1]
    for row in range(len(frame)):
        head = raw[row * width : (row + 1) * width]
        if not varying:
            yield head
            continue
        yield b"".join([head, *(_LENGTH.pack(len(values[row])) + values[row] for values in varying)])


def _fixed(series: pl.Series) -> np.ndarray:
    """Return the little-endian bytes of values of one width → (n, width)."""
    import polars as pl

    physical = series.to_physical()
    values = physical.fill_null(value=False if series.dtype == pl.Boolean else 0).to_numpy()
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), np.array(np.nan, values.dtype), values)
    values = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<")))
    return values.view(np.uint8).reshape(len(values), -1)


def _varying(series: pl.Series) -> list[bytes]:
    """Return values of any length as bytes: text, binary, and nested ones as JSON."""
    import msgspec
    import polars as pl

    if series.dtype == pl.Binary:
        return [value or b"" for value in series.to_list()]
    if series.dtype.is_nested():
        return [msgspec.json.encode(value, enc_hook=str) for value in series.to_list()]
    return [(value or "").encode() for value in series.cast(pl.String).to_list()]


def _npz(path: Path) -> Rows:
    """Digest the rows of arrays: those of one length belong together, the groups stand by their arrays' names."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: np.atleast_1d(archive[name]) for name in sorted(archive.files)}
    groups: dict[int, list[str]] = {}
    for name, array in arrays.items():
        groups.setdefault(len(array), []).append(name)
    parts, heads = [], []
    for length, names in sorted(groups.items(), key=lambda item: item[1]):
        heads += [f"{name}:{arrays[name].dtype.str}:{arrays[name].shape[1:]}" for name in names]
        columns = [_bytes_of(arrays[name], length) for name in names]
        raw = np.concatenate(columns, 1) if columns else np.zeros((length, 0), np.uint8)
        width, view = raw.shape[1], memoryview(np.ascontiguousarray(raw).tobytes())
        parts.append(digested(view[row * width : (row + 1) * width] for row in range(length)))
    return Rows("npz", blake3("\n".join(heads).encode()).hexdigest(), as_array(parts))


def _bytes_of(array: np.ndarray, length: int) -> np.ndarray:
    plain = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
    if not plain.size:
        return np.zeros((length, 0), np.uint8)
    return np.frombuffer(plain.tobytes(), np.uint8).reshape(length, -1)
