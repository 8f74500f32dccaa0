"""Tables in CSV and TSV files, streamed as text: every cell as it stands, whatever a cell before it looked like."""

from __future__ import annotations

import codecs
import csv
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc

from hauberk.core.limits import DEFAULT_LIMITS
from hauberk.core.tables import Batch
from hauberk.datasets.records import column_names
from hauberk.datasets.streaming import Faults, Streamed, rows_for, told

if TYPE_CHECKING:
    from typing import Any

_BLOCK = 4 << 20
_HEADER = 16 << 20
"""A header line longer than this is none."""
COLUMNS = 200_000


def open_stream(path: Path, name: str) -> Streamed:
    """Open a table with a header line; .gz is unpacked on the way."""
    return Streamed(name, "csv", lambda faults: _batches(path, faults), file=path, typed=False)


def _batches(path: Path, faults: Faults) -> Iterator[Batch]:
    with path.open("rb") as file:
        plain = unpacked(file, faults) if path.name.lower().endswith(".gz") else file
        text = _Utf8(plain, faults)
        delimiter = "\t" if ".tsv" in path.name.lower() else ","
        header = text.peek_line(_HEADER)
        if not header.strip():
            faults.add("malformed", "has no header line: the file is empty")
            return
        yield from _rows(text, delimiter, header.count(delimiter.encode()) + 1, faults)


def _rows(text: _Utf8, delimiter: str, width: int, faults: Faults) -> Iterator[Batch]:
    if width > COLUMNS:
        faults.add("limit", f"about {width} columns; at most {COLUMNS} are read")
        return
    ragged: list[int | None] = []

    def odd(row: Any) -> str:
        ragged.append(row.number)
        return "skip"

    try:
        # Two readings: the header alone, so that every column can be read as text.
        names = _names(text, delimiter)
        reader = pc.open_csv(
            io.BufferedReader(text, _BLOCK),
            read_options=pc.ReadOptions(use_threads=False, block_size=_BLOCK, column_names=names),
            parse_options=pc.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=odd),
            convert_options=pc.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=False
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):
            faults.add("malformed", f"is no CSV: {told(error)}")
        else:
            yield Batch(0, pl.DataFrame(schema=dict.fromkeys(names, pl.String)))
        return
    yield from _regular(reader, names, ragged, faults)


def _regular(reader: Any, names: list[str], ragged: list[int | None], faults: Faults) -> Iterator[Batch]:
    first, told_of, size = 0, 0, rows_for(len(names))
    while True:
        try:
            found = reader.read_next_batch()
        except StopIteration:
            break
        except pa.ArrowInvalid as error:
            faults.add("malformed", f"reading ended after row {first}: {told(error)}")
            break
        frame = pl.DataFrame(pa.Table.from_batches([found]))
        for start in range(0, len(frame), size):
            piece = frame.slice(start, size)
            yield Batch(first, piece)
            first += len(piece)
        told_of = _told(ragged, told_of, faults)
    _told(ragged, told_of, faults)


def _told(ragged: list[int | None], done: int, faults: Faults) -> int:
    """Note rows of another width; they are left out of the batches, so their number is that in the file."""
    for number in ragged[done:]:
        faults.add("ragged", "rows have more or fewer cells than the header", None if number is None else number - 1)
    return len(ragged)


def _names(text: _Utf8, delimiter: str) -> list[str]:
    """Read the header."""
    line = text.take_line().decode()
    while line.count('"') % 2 and (more := text.take_line().decode()):
        line += more
    cells = next(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter), [])
    return column_names(cells)


def unpacked(file: BinaryIO, faults: Faults) -> BinaryIO:
    """Return a gzip file's content as a stream; a bomb or a cut-off end becomes a fault."""
    return cast("BinaryIO", _Unpacked(file, faults))


class _Utf8(io.RawIOBase):
    """Bytes as UTF-8: a byte order mark is honoured, what is no UTF-8 becomes U+FFFD and is told, once a place."""

    def __init__(self, file: BinaryIO, faults: Faults) -> None:
        self._file, self._faults = file, faults
        head = file.read(4)
        wide = head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        self._from = "utf-16" if wide else "utf-8"
        self._decoder = codecs.getincrementaldecoder(self._from)("strict")
        self._held = head.removeprefix(codecs.BOM_UTF8) if not wide else head
        self._ready = b""
        self._over = False
        self._lone: bool | None = None

    def readable(self) -> bool:
        return True

    def peek_line(self, most: int) -> bytes:
        while b"\n" not in self._ready and len(self._ready) < most and self._more():
            pass
        return self._ready.partition(b"\n")[0]

    def take_line(self) -> bytes:
        self.peek_line(_HEADER)
        line, mark, self._ready = self._ready.partition(b"\n")
        return line + mark

    def readinto(self, buffer: Any) -> int:
        while not self._ready and self._more():
            pass
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count

    def _more(self) -> bool:
        if self._over:
            return False
        chunk = self._held + self._file.read(_BLOCK)
        self._held, self._over = b"", not chunk
        text = self._text(chunk, self._over)
        if self._lone is None and text:
            self._lone = b"\r" in text and b"\n" not in text
        # Lines that end in a carriage return alone, as old programs write them.
        self._ready += text.replace(b"\r", b"\n") if self._lone else text
        return not self._over or bool(self._ready)

    def _text(self, chunk: bytes, final: bool) -> bytes:
        pending = self._decoder.getstate()[0]
        try:
            return self._decoder.decode(chunk, final).encode()
        except UnicodeDecodeError as error:
            self._faults.add("encoding", f"bytes that are no {self._from.upper()} stand in the file")
            whole = pending + chunk
            cut = len(whole) - (3 if not final and self._from == "utf-8" else 0)
            keep = whole[cut:] if error.start < cut else b""
            self._decoder.reset()
            self._held = keep
            return whole[: len(whole) - len(keep)].decode(self._from, "replace").encode()


class _Unpacked(io.RawIOBase):
    """A gzip stream, all its members, unpacked in bounded pieces; a bomb or a cut-off end is told."""

    def __init__(self, file: BinaryIO, faults: Faults) -> None:
        self._file, self._faults = file, faults
        self._machine = zlib.decompressobj(31)
        self._packed = self._unpacked = 0
        self._rest = b""
        self._over = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        parts: list[bytes] = []
        want = _BLOCK if size < 0 else size
        while want > 0 and not self._over:
            piece = self._piece(want)
            want -= len(piece)
            parts.append(piece)
        return b"".join(parts)

    def _piece(self, want: int) -> bytes:
        chunk = self._rest or self._file.read(_BLOCK >> 2)
        if not chunk:
            self._over = True
            if not self._machine.eof:
                self._faults.add("truncated", "the gzip stream ends in the middle")
            return b""
        if self._machine.eof:
            if not chunk.startswith(b"\x1f\x8b"):
                self._over = True
                return b""
            self._machine = zlib.decompressobj(31)
        try:
            piece = self._machine.decompress(chunk, want)
        except zlib.error as error:
            self._over = True
            self._faults.add("malformed", f"the gzip stream is broken: {told(error)}")
            return b""
        self._rest = self._machine.unconsumed_tail or self._machine.unused_data
        self._packed += len(chunk) - len(self._rest)
        self._unpacked += len(piece)
        if self._unpacked > DEFAULT_LIMITS.member_bytes and self._unpacked > DEFAULT_LIMITS.ratio * self._packed:
            self._over = True
            self._faults.add("limit", f"unpacks to more than {DEFAULT_LIMITS.ratio:.0f} times its size: reading ended")
        return piece
