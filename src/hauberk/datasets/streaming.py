"""Open a data set as a stream of bounded batches, whatever its size, and gather what goes wrong on the way."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeAlias

from hauberk.core.errors import DataError, HauberkError, MissingExtra, nearest
from hauberk.core.evidence import Digest
from hauberk.core.tables import FIRST, Batch, Fault, FaultKind, Rows
from hauberk.crypto.file_digests import ALGORITHMS, Algorithm, digest_file
from hauberk.datasets.files import existing

BATCH_ROWS = 1 << 17
"""Rows of a batch; wide tables get fewer (`rows_for`)."""
BATCH_CELLS = 1 << 22

_READERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("stream_csv", (".csv", ".tsv", ".csv.gz", ".tsv.gz")),
    ("stream_parquet", (".parquet", ".pq")),
    ("stream_arrays", (".npz", ".npy")),
    ("stream_json_lines", (".jsonl", ".ndjson", ".jsonl.gz")),
    ("stream_arrow", (".arrow", ".feather", ".ipc")),
)
SUFFIXES = tuple(suffix for _, suffixes in _READERS for suffix in suffixes)
"""Endings of files that are data sets."""

Produce: TypeAlias = Callable[["Faults"], Iterator[Batch]]


class _Reader(Protocol):
    def open_stream(self, path: Path, name: str) -> Streamed: ...


class Faults:
    """What went wrong while reading: one entry a message, with its first rows."""

    def __init__(self) -> None:
        self._rows: dict[tuple[FaultKind, str], tuple[int, list[int]]] = {}

    def add(self, kind: FaultKind, message: str, row: int | None = None) -> None:
        """Note a fault, at a row where one is known."""
        count, first = self._rows.get((kind, message), (0, []))
        if row is not None and len(first) < FIRST:
            first.append(row)
        self._rows[kind, message] = (count + 1, first)

    def all(self) -> tuple[Fault, ...]:
        """Return them in the order they were met."""
        return tuple(
            Fault(kind=kind, message=message, rows=Rows(count=count, first=tuple(first)))
            for (kind, message), (count, first) in self._rows.items()
        )


class Streamed:
    """A stream that one function produces; digests of its file are made beside the reading, from the same pages."""

    def __init__(
        self,
        name: str,
        kind: str,
        produce: Produce,
        *,
        file: Path | None = None,
        label: str = "",
        typed: bool = True,
        names: Callable[[int], str] = str,
        digest: Callable[[], tuple[Digest, ...]] | None = None,
    ) -> None:
        self.name, self.kind, self.label, self.typed = name, kind, label, typed
        self._produce, self._file, self._names, self._own = produce, file, names, digest
        self._faults = Faults()
        self._digests: Future[dict[Algorithm, str]] | None = None

    def undigested(self) -> Streamed:
        """Make no digests of its file, where nobody asks for them."""
        self._file = None
        return self

    def batches(self) -> Iterator[Batch]:
        """Read on; a reader's fault ends the stream and is told."""
        with ThreadPoolExecutor(1) as pool:
            if self._file is not None:
                self._digests = pool.submit(
                    lambda file: digest_file(file, ALGORITHMS[:2], follow=True).values, self._file
                )
            try:
                yield from self._produce(self._faults)
            except HauberkError:
                raise
            except Exception as error:  # noqa: BLE001 - a reader's bug on hostile bytes must not end the audit
                self._faults.add("malformed", f"reading ended: {type(error).__name__}: {told(error)}")

    def faults(self) -> tuple[Fault, ...]:
        """What went wrong."""
        return self._faults.all()

    def digests(self) -> tuple[Digest, ...]:
        """Digests of the bytes; empty where the source is no file, or changed while it was read (a fault says so)."""
        if self._own is not None:
            return self._own()
        if self._digests is None:
            return ()
        try:
            values = self._digests.result()
        except OSError as error:
            self._faults.add("unreadable", f"no digest: {told(error)}")
            return ()
        return tuple(Digest(name=name, value=f"{name}:{value}") for name, value in sorted(values.items()))

    def row_name(self, row: int) -> str:
        """Name a row for people."""
        return self._names(row)


def told(error: BaseException) -> str:
    """Say in one line what an error says."""
    lines = str(error).strip().splitlines()
    return (lines[0][:200] if lines else type(error).__name__).strip()


def rows_for(columns: int) -> int:
    """Choose the rows of a batch so that its cells are bounded."""
    return max(64, min(BATCH_ROWS, BATCH_CELLS // max(columns, 1)))


def streams(source: str) -> bool:
    """Say by its name alone whether a file is a data set that can be streamed."""
    return source.lower().endswith(SUFFIXES)


def open_stream(folder: Path, source: str, *, key: str = "data.source") -> Streamed:
    """Open a file, a folder of images or Arrow files, a bundled set, or an SQL table ("sqlite:///a.db#table").

    Raises DataError naming what is known, or MissingExtra.
    """
    module, path = _reader(folder, source, key)
    try:
        reader: _Reader = importlib.import_module(f"hauberk.datasets.{module}")
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), "data") from error
    return reader.open_stream(path, source)


def _reader(folder: Path, source: str, key: str) -> tuple[str, Path]:
    if "://" in source:
        return "stream_sql", folder
    if source.startswith("bundled:"):
        return "stream_bundled", folder
    path = existing(folder, source, key)
    if path.is_dir():
        arrow = any((path / name).is_file() for name in ("dataset_info.json", "state.json", "dataset_dict.json"))
        return "stream_arrow" if arrow else "stream_images", path
    for module, suffixes in _READERS:
        if path.name.lower().endswith(suffixes):
            return module, path
    fix = nearest(path.suffix, SUFFIXES)
    raise DataError(f'no reader streams "{source}"', where=key, fix=f"{fix}; or a folder, or an SQL address")
