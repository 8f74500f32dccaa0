"""Tables in Parquet files, streamed by polars; what the file says of itself is held against its size first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from hauberk.core.limits import DEFAULT_LIMITS
from hauberk.core.tables import Batch
from hauberk.datasets.streaming import BATCH_ROWS, Faults, Streamed, rows_for, told


def open_stream(path: Path, name: str) -> Streamed:
    """Open a typed table."""
    return Streamed(name, "parquet", lambda faults: _batches(path, faults), file=path)


def _batches(path: Path, faults: Faults) -> Iterator[Batch]:
    try:
        about = pq.ParquetFile(path).metadata
    except (pa.ArrowInvalid, OSError) as error:
        faults.add("malformed", f"is no Parquet file: {told(error)}")
        return
    unpacked = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    size = path.stat().st_size
    if unpacked > DEFAULT_LIMITS.member_bytes and unpacked > DEFAULT_LIMITS.ratio * size:
        faults.add("limit", f"unpacks to {unpacked / max(size, 1):.0f} times its size: it was not read")
        return
    if about.num_columns == 0 or about.num_rows == 0:
        yield Batch(0, pl.read_parquet(path))
        return
    yield from _pieces(path, min(BATCH_ROWS, rows_for(about.num_columns)), about.num_rows, faults)


def _pieces(path: Path, size: int, rows: int, faults: Faults) -> Iterator[Batch]:
    first = 0
    try:
        # pyarrow's own batches cost twice the time: its strings are copied into polars' views.
        for frame in pl.scan_parquet(path).collect_batches(chunk_size=size, maintain_order=True):
            yield Batch(first, frame)
            first += len(frame)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        faults.add("malformed", f"reading ended after {first} of {rows} rows: {told(error)}")
        return
    if first != rows:
        faults.add("truncated", f"{first} rows were there; its own record says {rows}")
