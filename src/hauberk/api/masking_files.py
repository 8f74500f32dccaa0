"""Copy CSV, JSON Lines, Parquet and text files batch by batch, their texts changed on the way; or only look."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias, TypeVar

import msgspec

from hauberk.core.errors import DataError, MissingExtra

if TYPE_CHECKING:
    import polars as pl

Texts: TypeAlias = list[str | None]
Visit: TypeAlias = Callable[[str, int, Texts], Texts]
"""Column, id of its first row, texts → the texts to write."""
Copier: TypeAlias = Callable[[Path, Path | None, Visit], None]
"""From, to (None: only look), what to do with each batch of a column."""
Item = TypeVar("Item")
_BATCH = 20_000
_DIGITS = 8
"""Whole numbers of more digits may be cards, phones or ids."""


def copier_of(path: Path) -> Copier:
    """Choose by a file's ending; any other is text."""
    return {".csv": _csv, ".tsv": _csv, ".jsonl": _json_lines, ".ndjson": _json_lines, ".parquet": _parquet}.get(
        path.suffix.lower(), _text
    )


def _csv(source: Path, target: Path | None, visit: Visit) -> None:
    """Copy a table with a header line; fields are quoted anew where they need it."""
    mark = "\t" if source.suffix.lower() == ".tsv" else ","
    with ExitStack() as stack:
        rows = csv.reader(stack.enter_context(source.open(encoding="utf-8-sig", newline="")), delimiter=mark)
        out = _opened(target, stack)
        writer = csv.writer(out, delimiter=mark, lineterminator="\n") if out is not None else None
        try:
            header = next(rows, [])
            if writer is not None and header:
                writer.writerow(header)
            first = 0
            for batch in _batches(rows):
                changed = _columns_changed(header, first, batch, visit)
                if writer is not None:
                    writer.writerows(changed)
                first += len(batch)
        except csv.Error as error:
            raise DataError(f"cannot be read as CSV: {error}", where=f"{source.name}:{rows.line_num}") from error


def _columns_changed(header: list[str], first: int, batch: list[list[str]], visit: Visit) -> list[list[str]]:
    """Change a batch column by column; fields beyond the header, and rows that lack some, keep their places."""
    width = max(map(len, batch))
    columns = []
    for place in range(width):
        name = header[place] if place < len(header) else f"column {place}"
        columns.append(visit(name, first, [row[place] if place < len(row) else None for row in batch]))
    return [[columns[place][i] or "" for place in range(len(row))] for i, row in enumerate(batch)]


def _json_lines(source: Path, target: Path | None, visit: Visit) -> None:
    """Copy records, one a line: every text in them, by its path, and whole numbers that are long."""
    with ExitStack() as stack:
        lines = stack.enter_context(source.open("rb"))
        out = stack.enter_context(target.open("wb")) if target is not None else None
        first = 0
        for batch in _batches(line for line in lines if line.strip()):
            records = [_record(line, first + i, source.name) for i, line in enumerate(batch)]
            leaves: dict[str, list[_Leaf]] = {}
            for record in records:
                for leaf in _leaves(record, ""):
                    leaves.setdefault(leaf.path, []).append(leaf)
            for path, found in leaves.items():
                for leaf, text in zip(found, visit(path, first, [leaf.text for leaf in found]), strict=True):
                    leaf.put(text or "")
            if out is not None:
                out.writelines(msgspec.json.encode(record[0]) + b"\n" for record in records)
            first += len(batch)


class _Leaf:
    """A text in a record, and where to put another one."""

    def __init__(self, holder: dict[str, object] | list[object], place: str | int, path: str) -> None:
        self._holder, self._place, self.path = holder, place, path
        self.text = str(holder[place])  # type: ignore[index]

    def put(self, text: str) -> None:
        """Replace it, if it is another one."""
        if text != self.text:
            self._holder[self._place] = text  # type: ignore[index]


def _record(line: bytes, row: int, name: str) -> list[object]:
    """Read a line into a holder of one; raises DataError."""
    try:
        return [msgspec.json.decode(line)]
    except msgspec.DecodeError as error:
        raise DataError(f"row {row} is no JSON: {error}", where=name) from error


def _leaves(holder: object, path: str) -> Iterator[_Leaf]:
    """Walk a record for texts and long numbers."""
    pairs: Iterable[tuple[str | int, object]] = ()
    if isinstance(holder, dict):
        pairs = holder.items()
    elif isinstance(holder, list):
        pairs = enumerate(holder)
    for place, value in pairs:
        name = f"{path}.{place}" if path and isinstance(place, str) else str(place) if isinstance(place, str) else path
        if isinstance(value, dict | list):
            yield from _leaves(value, name)
        elif isinstance(value, str) or (type(value) is int and abs(value) >= 10**_DIGITS):
            assert isinstance(holder, dict | list)
            yield _Leaf(holder, place, name)


def _parquet(source: Path, target: Path | None, visit: Visit) -> None:
    """Copy a typed table; a column of long whole numbers in which something was found becomes one of text."""
    try:
        import polars as pl
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), "data") from error
    try:
        file = pq.ParquetFile(source)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"cannot be read as Parquet: {str(error)[:120]}", where=source.name) from error
    with ExitStack() as stack:
        stack.callback(file.close)
        first, frames = 0, []
        for batch in file.iter_batches(batch_size=_BATCH):
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            changed = [_series_changed(series, first, visit) for series in frame.get_columns()]
            if target is not None:
                frames.append(pl.DataFrame(changed))
            first += len(frame)
        if target is not None:
            _written(frames, target)


def _written(frames: list[pl.DataFrame], target: Path) -> None:
    """Write batches; where a column became text in one of them, it is text in all."""
    import polars as pl

    names = {series.name for frame in frames for series in frame.get_columns() if series.dtype == pl.String}
    texts = [frame.with_columns(pl.col([n for n in frame.columns if n in names]).cast(pl.String)) for frame in frames]
    (pl.concat(texts) if texts else pl.DataFrame()).write_parquet(target)


def _series_changed(series: pl.Series, first: int, visit: Visit) -> pl.Series:
    import polars as pl

    top = series.max() if series.dtype.is_integer() else None
    if series.dtype in (pl.Categorical, pl.Enum, pl.String) or (isinstance(top, int) and top >= 10**_DIGITS):
        texts = series.cast(pl.String).to_list()
        changed = visit(series.name, first, texts)
        if changed != texts:
            return pl.Series(series.name, changed, dtype=pl.String)
    return series


def _text(source: Path, target: Path | None, visit: Visit) -> None:
    """Copy lines of text."""
    with ExitStack() as stack:
        lines = stack.enter_context(source.open(encoding="utf-8", newline=""))
        out = _opened(target, stack)
        first = 0
        for batch in _batches(lines):
            changed = visit("text", first, list(batch))
            if out is not None:
                out.writelines(line or "" for line in changed)
            first += len(batch)


def _opened(target: Path | None, stack: ExitStack) -> IO[str] | None:
    return stack.enter_context(target.open("w", encoding="utf-8", newline="")) if target is not None else None


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    rows = iter(items)
    while batch := list(islice(rows, _BATCH)):
        yield batch
