"""Read the rows of CSV, JSON Lines, Parquet and npz files as bytes, in bounded memory: the same table, the same bytes.

A row of text is its line without the line's end. A row of typed columns is each value's bytes in the order of the
columns, a byte before each that says whether it is there, and a length before each that varies; every NaN is one NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from blake3 import blake3

from hauberk.sealing.row_blocks import Rows, as_array, digested

if TYPE_CHECKING:
    import polars as pl

SUFFIXES = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".npz": "npz"}
_PIECE, _BATCH = 8 << 20, 65_536
_LENGTH_BYTES = 4
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
        parts.append(digested([line for line in lines if line]))
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


def _frame_rows(frame: pl.DataFrame) -> list[bytes]:
    """Return the rows of typed columns as bytes."""
    fixed: list[np.ndarray] = []
    varying: list[_Varying] = []
    for series in frame.get_columns():
        fixed.append(series.is_not_null().to_numpy().astype(np.uint8)[:, None])
        kind = series.dtype
        if (kind.is_numeric() and not kind.is_decimal()) or kind.is_temporal() or str(kind) == "Boolean":
            fixed.append(_fixed(series))
        else:
            varying.append(_varying(series))
    plain = np.concatenate(fixed, 1) if fixed else np.zeros((len(frame), 0), np.uint8)
    raw, ends = _assembled(plain, varying)
    places = ends.tolist()
    return [raw[start:end] for start, end in zip([0, *places], places, strict=False)]


class _Varying(NamedTuple):
    """Values of any length: their lengths, and all their bytes one after the other."""

    lengths: np.ndarray
    data: np.ndarray


def _assembled(plain: np.ndarray, varying: Sequence[_Varying]) -> tuple[bytes, np.ndarray]:
    """Put each row's bytes together, lengths before what varies → all rows, and where each ends."""
    count, width = plain.shape
    sizes = np.full(count, width, np.int64)
    for column in varying:
        sizes += column.lengths + _LENGTH_BYTES
    ends = np.cumsum(sizes)
    place = ends - sizes
    out = np.zeros(int(ends[-1]) if count else 0, np.uint8)
    out[place[:, None] + np.arange(width)] = plain
    place = place + width
    for column in varying:
        marks = column.lengths.astype("<u4").view(np.uint8).reshape(count, _LENGTH_BYTES)
        out[place[:, None] + np.arange(_LENGTH_BYTES)] = marks
        place = place + _LENGTH_BYTES
        shift = place - (np.cumsum(column.lengths) - column.lengths)
        out[np.repeat(shift, column.lengths) + np.arange(len(column.data))] = column.data
        place = place + column.lengths
    return out.tobytes(), ends


def _fixed(series: pl.Series) -> np.ndarray:
    """Return the little-endian bytes of values of one width → (n, width)."""
    import polars as pl

    physical = series.to_physical()
    values = physical.fill_null(value=False if series.dtype == pl.Boolean else 0).to_numpy()
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), np.array(np.nan, values.dtype), values)
    values = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<")))
    return values.view(np.uint8).reshape(len(values), -1)


def _varying(series: pl.Series) -> _Varying:
    """Return the bytes of values of any length: text, binary, and nested ones as JSON."""
    import msgspec
    import polars as pl

    if series.dtype == pl.Binary:
        values = [value or b"" for value in series.to_list()]
    elif series.dtype.is_nested():
        values = [msgspec.json.encode(value, enc_hook=str) for value in series.to_list()]
    else:
        text = series.cast(pl.String).fill_null("")
        whole = text.str.join("").item() if len(text) else ""
        lengths = text.str.len_bytes().to_numpy().astype(np.int64)
        return _Varying(lengths, np.frombuffer(whole.encode(), np.uint8))
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    return _Varying(lengths, np.frombuffer(b"".join(values), np.uint8))


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
        width, whole = raw.shape[1], np.ascontiguousarray(raw).tobytes()
        parts.append(digested([whole[row * width : (row + 1) * width] for row in range(length)]))
    return Rows("npz", blake3("\n".join(heads).encode()).hexdigest(), as_array(parts))


def _bytes_of(array: np.ndarray, length: int) -> np.ndarray:
    plain = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
    if not plain.size:
        return np.zeros((length, 0), np.uint8)
    return np.frombuffer(plain.tobytes(), np.uint8).reshape(length, -1)
