"""Repair and undo of Parquet files: rows dropped or changed by batches, the old ones in the change list."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from hauberk.core.errors import DataError
from hauberk.core.tables import Batch
from hauberk.core.version import __version__
from hauberk.datasets.whole_file import whole_files
from hauberk.scanning.tables.blocks import Blocks

if TYPE_CHECKING:
    from hauberk.api.data_repair import Change, Heading
    from hauberk.scanning.tables.deciding import Decisions

_ROWS = 1 << 16


def write(path: Path, target: Path, changes: Path, decisions: Decisions) -> None:
    """Write the repaired file and the change list; `before` and `after` are Merkle roots over blocks of rows."""
    from hauberk.api.data_repair import _KIND, Change, Heading, write_changes

    source = pq.ParquetFile(path)
    before, after, listed, kept = Blocks(), Blocks(), list[Change](), 0
    with whole_files(changes, target) as (list_file, out):
        with pq.ParquetWriter(out, source.schema_arrow) as writer:
            first = 0
            for batch in source.iter_batches(_ROWS):
                frame = pl.DataFrame(pa.Table.from_batches([batch]))
                before.add(Batch(first, frame))
                here = [(i, decisions.rows[first + i]) for i in range(len(frame)) if first + i in decisions.rows]
                for i, decision in here:
                    listed.append(
                        Change(
                            at=first + i,
                            row=first + i,
                            action=decision.action,
                            reason=decision.reason,
                            cells=decision.cells,
                            record=packed(batch.slice(i, 1)),
                        )
                    )
                new = _changed(frame, {i: decision.cells for i, decision in here if decision.cells})
                new = new.filter(~pl.int_range(len(new)).is_in([i for i, decision in here if not decision.cells]))
                after.add(Batch(kept, new))
                writer.write_table(new.to_arrow().cast(source.schema_arrow))
                kept, first = kept + len(new), first + len(frame)
        heading = Heading(
            kind=_KIND,
            tool=f"hauberk {__version__}",
            source=path.name,
            before=before.root(),
            after=after.root(),
            rows=decisions.total,
            kept=kept,
        )
        write_changes(list_file, heading, listed)


def _changed(frame: pl.DataFrame, cells: dict[int, dict[str, str]]) -> pl.DataFrame:
    """Put new values into some cells, each in its column's own type."""
    for column in sorted({name for new in cells.values() for name in new}):
        rows = {i: new[column] for i, new in cells.items() if column in new}
        values = pl.Series(list(rows.values()))
        kind = frame[column].dtype
        if kind.is_integer():
            values = values.cast(pl.Float64).round()
        made = values.str.to_lowercase() == "true" if kind == pl.Boolean else values.cast(kind)
        frame = frame.with_columns(frame[column].clone().scatter(list(rows), made))
    return frame


def packed(row: pa.RecordBatch) -> str:
    """Write one row as Arrow's own bytes, so that every type comes back as it was."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, row.schema) as writer:
        writer.write_batch(row)
    return base64.b64encode(sink.getvalue().to_pybytes()).decode()


def _unpacked(record: str) -> pl.DataFrame:
    return pl.DataFrame(pa.ipc.open_stream(base64.b64decode(record)).read_all())


def write_back(path: Path, target: Path, heading: Heading, known: dict[int, Change]) -> int:
    """Write the rows as they were; raises DataError where their root is another."""
    source = pq.ParquetFile(path)
    before, after, place, read = Blocks(), Blocks(), 0, 0
    with whole_files(target) as (out,):
        with pq.ParquetWriter(out, source.schema_arrow) as writer:

            def put(frames: list[pl.DataFrame]) -> None:
                for frame in frames:
                    before.add(Batch(0, frame))
                    writer.write_table(frame.to_arrow().cast(source.schema_arrow))

            for batch in source.iter_batches(_ROWS):
                frame = pl.DataFrame(pa.Table.from_batches([batch]))
                after.add(Batch(read, frame))
                read += len(frame)
                pieces, place = _merged(frame, known, place)
                put(pieces)
            rest: list[pl.DataFrame] = []
            while place in known:
                rest.append(_unpacked(known[place].record))
                place += 1
            put(rest)
        for found, wanted, fault in (
            (after.root(), heading.after, "was changed since it was repaired"),
            (before.root(), heading.before, "does not give back what was there"),
        ):
            if found != wanted:
                raise DataError(
                    fault, where=str(path), fix="use the file and the change list that were written together"
                )
    return heading.rows


def _merged(frame: pl.DataFrame, known: dict[int, Change], place: int) -> tuple[list[pl.DataFrame], int]:
    """Put rows as they were between and instead of those of a batch; returns the place after it."""
    pieces: list[pl.DataFrame] = []
    start = 0
    for i in range(len(frame)):
        while place in known and not known[place].cells:
            pieces += [frame[start:i], _unpacked(known[place].record)]
            start, place = i, place + 1
        if place in known:
            pieces += [frame[start:i], _unpacked(known[place].record)]
            start = i + 1
        place += 1
    pieces.append(frame[start:])
    return [piece for piece in pieces if len(piece)], place
