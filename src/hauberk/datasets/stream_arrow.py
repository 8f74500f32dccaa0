"""Arrow files, and the data set folders of Hugging Face's library: shards in the order their own record names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import polars as pl
import pyarrow as pa

from hauberk.core.evidence import Digest
from hauberk.core.tables import Batch
from hauberk.crypto.file_digests import digest_file
from hauberk.crypto.merkle import Tree, leaf_hash
from hauberk.datasets.streaming import Faults, Streamed, rows_for, told

_SPLIT = "split"
T = TypeVar("T")


class _Shard(msgspec.Struct):
    filename: str


class _State(msgspec.Struct):
    files: list[_Shard] = msgspec.field(name="_data_files", default_factory=list)


class _Dict(msgspec.Struct):
    splits: list[str] = msgspec.field(default_factory=list)


def open_stream(path: Path, name: str) -> Streamed:
    """Open a file, a saved data set, or a saved dictionary of splits, which get a column of their own."""
    if path.is_file():
        return Streamed(name, "arrow", lambda faults: _numbered(_file(path, faults)), file=path)
    seen: list[Path] = []
    return Streamed(
        name, "arrow", lambda faults: _numbered(_folder(path, faults, seen)), digest=lambda: _digests(path, seen)
    )


def _numbered(frames: Iterator[pl.DataFrame]) -> Iterator[Batch]:
    first = 0
    for frame in frames:
        size = rows_for(frame.width)
        for start in range(0, max(len(frame), 1), size):
            yield Batch(first + start, frame.slice(start, size))
        first += len(frame)


def _folder(path: Path, faults: Faults, seen: list[Path]) -> Iterator[pl.DataFrame]:
    names = _record(path / "dataset_dict.json", _Dict, faults)
    if names is None:
        yield from _shards(path, faults, seen)
        return
    for split in names.splits:
        inner = _inside(path, split, faults)
        for frame in _shards(inner, faults, seen) if inner is not None else ():
            yield frame.with_columns(pl.lit(split).alias(_SPLIT)) if _SPLIT not in frame.columns else frame


def _shards(path: Path, faults: Faults, seen: list[Path]) -> Iterator[pl.DataFrame]:
    state = _record(path / "state.json", _State, faults)
    names = [shard.filename for shard in state.files] if state else sorted(p.name for p in path.glob("*.arrow"))
    if not names:
        faults.add("malformed", "names no .arrow file")
    for name in names:
        inner = _inside(path, name, faults)
        if inner is None:
            continue
        if not inner.is_file():
            faults.add("truncated", f"the shard {name[:80]} is not there")
            continue
        seen.append(inner)
        yield from _file(inner, faults)


def _inside(folder: Path, name: str, faults: Faults) -> Path | None:
    """Refuse a name that leads out of the folder."""
    inner = folder / name
    if Path(name).is_absolute() or not inner.resolve().is_relative_to(folder.resolve()):
        faults.add("escape", f"its record names {name[:80]!r}, which lies outside its folder")
        return None
    return inner


def _record(path: Path, kind: type[T], faults: Faults) -> T | None:
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.DecodeError, OSError) as error:
        faults.add("malformed", f"{path.name} cannot be read: {told(error)}")
        return None


def _file(path: Path, faults: Faults) -> Iterator[pl.DataFrame]:
    """Read record batches of an IPC stream or an IPC file, mapped."""
    try:
        with pa.memory_map(str(path)) as source:
            head = source.read(6)
            source.seek(0)
            if head == b"ARROW1":
                file = pa.ipc.open_file(source)
                yield from (_plain(file.get_batch(index)) for index in range(file.num_record_batches))
            else:
                yield from (_plain(batch) for batch in pa.ipc.open_stream(source))
    except (pa.ArrowException, OSError, ValueError) as error:
        faults.add("malformed", f"{path.name}: reading ended: {told(error)}")


def _plain(batch: pa.RecordBatch) -> pl.DataFrame:
    """Bring a record batch to polars; nested values as JSON text, bytes as they are."""
    frame = pl.DataFrame(pa.Table.from_batches([batch]))
    nested = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List | pl.Struct | pl.Array)]
    if not nested:
        return frame
    texts = [pl.Series(name, [_text(value) for value in frame[name].to_list()], dtype=pl.String) for name in nested]
    return frame.with_columns(texts)


def _text(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value, enc_hook=repr).decode()


def _digests(root: Path, files: list[Path]) -> tuple[Digest, ...]:
    """Digest every shard, and the tree of them in reading order."""
    leaves = []
    for file in files:
        value = digest_file(file, ("sha256",), follow=True).values["sha256"]
        leaves.append(leaf_hash(f"{file.relative_to(root).as_posix()}\0{value}".encode()))
    return (Digest(name="files", value=f"merkle:{Tree(leaves).root().hex()}"),) if leaves else ()
