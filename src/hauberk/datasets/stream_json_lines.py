"""JSON Lines: one object a line; what lies deeper than one level stays JSON text, what is no object is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

import msgspec
import polars as pl

from hauberk.core.tables import Batch
from hauberk.datasets.stream_csv import unpacked
from hauberk.datasets.streaming import Faults, Streamed

_ROWS = 1 << 14
_LINE = 16 << 20
"""Bytes of one line; a longer one is left out."""
_COLUMNS = 2000

Value: TypeAlias = str | int | float | bool | None


def open_stream(path: Path, name: str) -> Streamed:
    """Open a file of objects; .gz is unpacked on the way."""
    return Streamed(name, "json_lines", lambda faults: _batches(path, faults), file=path)


def _batches(path: Path, faults: Faults) -> Iterator[Batch]:
    with path.open("rb") as file:
        source: BinaryIO = unpacked(file, faults) if path.name.lower().endswith(".gz") else file
        rows: list[dict[str, Value]] = []
        first = row = 0
        columns: dict[str, None] = {}
        for line in _lines(source, faults):
            found = _read(line, row, faults)
            row += 1
            rows.append(found)
            columns |= dict.fromkeys(found)
            if len(columns) > _COLUMNS:
                faults.add("limit", f"more than {_COLUMNS} different keys: reading ended at row {row}")
                break
            if len(rows) >= _ROWS:
                yield Batch(first, _frame(rows, columns))
                first, rows = row, []
        if rows or not row:
            yield Batch(first, _frame(rows, columns))


def _lines(file: BinaryIO, faults: Faults) -> Iterator[bytes]:
    """Yield lines that are not blank; one longer than the bound is passed over in pieces."""
    rest = b""
    passing = False
    while chunk := file.read(1 << 20):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line.strip() and not passing:
                yield line
            passing = False
        if len(rest) > _LINE:
            if not passing:
                faults.add("limit", f"a line is longer than {_LINE >> 20} MiB: it was left out")
            rest, passing = b"", True
    if rest.strip() and not passing:
        yield rest


def _read(line: bytes, row: int, faults: Faults) -> dict[str, Value]:
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        faults.add("unreadable", "lines that are no JSON", row)
        return {}
    if not isinstance(found, dict):
        faults.add("unreadable", "lines that are no JSON object", row)
        return {}
    flat: dict[str, Value] = {}
    for key, value in found.items():
        if isinstance(value, dict):
            flat.update({f"{key}.{inner}": _plain(one) for inner, one in value.items()})
        else:
            flat[str(key)] = _plain(value)
    return flat


def _plain(value: object) -> Value:
    if value is None or isinstance(value, str | bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) < 1 << 63 else float(value)
    return msgspec.json.encode(value).decode()


def _frame(rows: list[dict[str, Value]], columns: dict[str, None]) -> pl.DataFrame:
    """Make a frame; a key whose values are of several types becomes text."""
    return pl.DataFrame([_column(name, [row.get(name) for row in rows]) for name in columns])


def _column(name: str, values: list[Value]) -> pl.Series:
    kinds = {type(value) for value in values} - {type(None)}
    if kinds <= {bool}:
        return pl.Series(name, values, dtype=pl.Boolean if kinds else pl.Null)
    if kinds <= {int}:
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds <= {int, float}:
        return pl.Series(name, [None if value is None else float(value) for value in values], dtype=pl.Float64)
    texts = [
        value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode() for value in values
    ]
    return pl.Series(name, texts, dtype=pl.String)
