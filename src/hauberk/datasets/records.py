"""The rows of a text file as they are written, byte for byte, so that a repaired copy can be undone to the last one."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, TypeAlias, cast

import msgspec

from hauberk.core.errors import DataError

Shape: TypeAlias = Literal["csv", "tsv", "json_lines"]
_MOST = 64 << 20
"""Bytes of one record; a quote that never closes must not swallow the file."""


class Record(NamedTuple):
    """One record: its bytes with the line's end. row: its id in the stream; None for blank and odd ones."""

    data: bytes
    row: int | None


def shape_of(path: Path) -> Shape:
    """Tell by its name how a file is written; raises DataError for what has no records of text."""
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".csv", ".tsv")):
        return "tsv" if name.endswith(".tsv") else "csv"
    if name.endswith((".jsonl", ".ndjson")):
        return "json_lines"
    raise DataError("cannot be repaired", where=path.name, fix="save it as CSV, TSV, JSON Lines or Parquet")


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for its plain bytes, unpacked where its name ends in .gz."""
    with path.open("rb") as file:
        yield cast("BinaryIO", gzip.GzipFile(fileobj=file)) if path.name.lower().endswith(".gz") else file


def records(file: BinaryIO, shape: Shape) -> Iterator[Record]:
    """Yield the header, if there is one, as a record without a row, then every record in order; raises DataError."""
    if shape == "json_lines":
        yield from _lines(file)
        return
    width, row = 0, 0
    for number, data in enumerate(_quoted(file)):
        found = cells(data, shape)
        if number == 0:
            width = len(found)
            yield Record(data, None)
        elif not data.strip(b"\r\n") or len(found) != width:
            yield Record(data, None)
        else:
            yield Record(data, row)
            row += 1


def _lines(file: BinaryIO) -> Iterator[Record]:
    row = 0
    for line in file:
        if line.strip():
            yield Record(line, row)
            row += 1
        else:
            yield Record(line, None)


def _quoted(file: BinaryIO) -> Iterator[bytes]:
    """Join lines whose quotes are open; raises DataError where one never closes."""
    held, quotes = b"", 0
    for line in file:
        held += line
        quotes += line.count(b'"')
        if quotes % 2 == 0:
            yield held
            held, quotes = b"", 0
        elif len(held) > _MOST:
            raise DataError("a quote is never closed", where=held[:40].decode(errors="replace"), fix="close it")
    if held:
        yield held


def cells(data: bytes, shape: Shape) -> list[str]:
    """Read a record's cells."""
    text = data.decode("utf-8", "surrogateescape")
    return next(csv.reader(io.StringIO(text, newline=""), delimiter="\t" if shape == "tsv" else ","), [])


def column_names(header: list[str]) -> list[str]:
    """Name columns; those without a name, or with one that was there, get one of their own."""
    names: list[str] = []
    seen: set[str] = set()
    for index, cell in enumerate(header):
        name = cell.strip() or f"column {index + 1}"
        while name in seen:
            name += "'"
        seen.add(name)
        names.append(name)
    return names


def changed(data: bytes, shape: Shape, header: list[str], new: dict[str, str]) -> bytes:
    """Return a record with some cells changed, everything else as it was, and the line's end as it was."""
    end = data[len(data.rstrip(b"\r\n")) :]
    if shape == "json_lines":
        return _object(data, new) + end
    found = cells(data, shape)
    for column, value in new.items():
        found[header.index(column)] = value
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter="\t" if shape == "tsv" else ",", lineterminator="\r\n").writerow(found)
    return buffer.getvalue().removesuffix("\r\n").encode("utf-8", "surrogateescape") + end


def _object(data: bytes, new: dict[str, str]) -> bytes:
    found = msgspec.json.decode(data, type=dict[str, object])
    for column, value in new.items():
        outer, _, inner = column.partition(".")
        place = found.get(outer)
        if column not in found and inner and isinstance(place, dict):
            place[inner] = _like(place.get(inner), value)
        else:
            found[column] = _like(found.get(column), value)
    return msgspec.json.encode(found)


def _like(before: object, value: str) -> object:
    """Write a value as the one before it was written: a number stays a number."""
    if isinstance(before, str):
        return value
    try:
        return msgspec.json.decode(value, type=int | float | bool | str)
    except msgspec.DecodeError:
        return value
