"""Repair a data set into a new file with a change list that has a reason for every row, and undo it again."""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import msgspec

from hauberk.api.auditing import Manner, plan_for, section_for
from hauberk.core.errors import DataError, MissingExtra, UsageError
from hauberk.core.progress import Silent
from hauberk.core.project import FILE_NAME, Project, read
from hauberk.core.protocols import Progress
from hauberk.core.tables import Wishes
from hauberk.core.version import __version__

if TYPE_CHECKING:
    from hauberk.core.tables import Stream
    from hauberk.datasets.records import Record, Shape
    from hauberk.scanning.tables.deciding import Decision, Decisions

_SILENT = Silent()
_WISHES = Wishes()
ENDING = ".changes.jsonl"
_KIND = "hauberk data changes 1"


class Heading(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first line of a change list. before, after: sha256 of the content as it was and as it is (unpacked)."""

    kind: str
    tool: str
    source: str
    before: str
    after: str
    rows: int
    kept: int


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One change. at: place among all records after the header. record: as it was, base64: keep it as you keep data."""

    at: int
    row: int | None
    action: str
    reason: str
    cells: dict[str, str] = {}
    record: str = ""


class Repaired(msgspec.Struct, frozen=True, kw_only=True):
    """What a repair did. changes: path of the change list. before, rows: rows as they were and are."""

    path: Path
    changes: Path
    before: int
    rows: int
    reasons: tuple[tuple[str, int], ...]


def repair(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    folder: str | os.PathLike[str] = ".",
    wishes: Wishes = _WISHES,
    dry_run: bool = False,
    seed: int = 0,
    progress: Progress = _SILENT,
) -> Repaired:
    """Write a mended copy of a CSV, TSV, JSON Lines or Parquet file; the source is only read.

    Both files are there whole or not at all. Raises UsageError where the output is there already or is the source.

    Example:
        >>> hauberk.api.data_repair.repair("train.csv", "clean.csv").reasons  # doctest: +SKIP
    """
    try:
        from hauberk.scanning.tables.deciding import decide
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), "data") from error
    root, target = Path(folder), Path(output)
    project = read(root) if (root / FILE_NAME).exists() else Project()
    section = section_for(project, os.fspath(source), root)
    path = root / section.source
    _unlike(path, target)
    plan = plan_for(section, Manner(label=wishes.label, seed=seed))
    with progress.step(f"deciding on {section.source}", None, "rows"):
        decisions = decide(_stream(root, section.source), plan, wishes)
    dropped = sum(1 for decision in decisions.rows.values() if not decision.cells)
    changes = target.with_name(target.name + ENDING)
    done = Repaired(
        path=target,
        changes=changes,
        before=decisions.total,
        rows=decisions.total - dropped,
        reasons=decisions.reasons,
    )
    if dry_run:
        return done
    if path.name.lower().endswith((".parquet", ".pq")):
        from hauberk.api.data_repair_parquet import write

        write(path, target, changes, decisions)
        return done
    return msgspec.structs.replace(done, rows=_write(path, target, changes, decisions))


def _stream(root: Path, source: str) -> Stream:
    from hauberk.datasets.streaming import open_stream

    return open_stream(root, source)


def _unlike(source: Path, target: Path) -> None:
    from hauberk.datasets.whole_file import absent

    if source.resolve() == target.resolve():
        raise UsageError("is the source itself", where=str(target), fix="name a new file: nothing is changed in place")
    absent(target)
    absent(target.with_name(target.name + ENDING))


def _write(path: Path, target: Path, changes: Path, decisions: Decisions) -> int:
    """Copy records, drop or change some, and write the change list; both appear at the end. Returns the rows kept."""
    from hauberk.datasets.records import opened, shape_of
    from hauberk.datasets.whole_file import whole_files

    shape = shape_of(path)
    with opened(path) as plain, whole_files(changes, target) as (list_file, out):
        before, after = hashlib.sha256(), hashlib.sha256()
        listed: list[Change] = []
        dropped = 0
        with _packed(target, out) as sink:
            for data, change in _repaired(plain, shape, decisions, before):
                if change is not None:
                    listed.append(change)
                    dropped += change.row is not None and not data
                after.update(data)
                sink.write(data)
        heading = Heading(
            kind=_KIND,
            tool=f"hauberk {__version__}",
            source=path.name,
            before=before.hexdigest(),
            after=after.hexdigest(),
            rows=decisions.total,
            kept=decisions.total - dropped,
        )
        write_changes(list_file, heading, listed)
    return decisions.total - dropped


@contextmanager
def _packed(target: Path, out: BinaryIO) -> Iterator[BinaryIO]:
    """Pack the output where its name says so, without a time in it."""
    if not target.name.lower().endswith(".gz"):
        yield out
        return
    with gzip.GzipFile(fileobj=out, mode="wb", filename="", mtime=0) as packing:
        yield cast("BinaryIO", packing)


def _repaired(
    plain: BinaryIO, shape: Shape, decisions: Decisions, before: hashlib._Hash
) -> Iterator[tuple[bytes, Change | None]]:
    """Yield each record as it is to be written (empty: not at all), and the change, where there is one."""
    from hauberk.datasets.records import cells, changed, column_names, records

    header: list[str] = []
    for place, record in enumerate(records(plain, shape)):
        before.update(record.data)
        if place == 0 and shape != "json_lines":
            header = column_names(cells(record.data.removeprefix(b"\xef\xbb\xbf"), shape))
            yield record.data, None
            continue
        decision = _decision(record, decisions, shape)
        if decision is None:
            yield record.data, None
            continue
        new = changed(record.data, shape, header, decision.cells) if decision.cells else b""
        yield new, _change(place, record, decision)


def _decision(record: Record, decisions: Decisions, shape: Shape) -> Decision | None:
    from hauberk.scanning.tables.deciding import Decision

    if shape == "json_lines" and record.row is not None and not _is_object(record.data):
        return Decision("dropped", "it is no JSON object", {})
    if record.row is not None:
        return decisions.rows.get(record.row)
    if record.data.strip():
        return Decision("dropped", "it has more or fewer cells than the header", {})
    return None


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(data), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _change(place: int, record: Record, decision: Decision) -> Change:
    return Change(
        at=place,
        row=record.row,
        action=decision.action,
        reason=decision.reason,
        cells=decision.cells,
        record=base64.b64encode(record.data).decode(),
    )


def write_changes(file: BinaryIO, heading: Heading, changes: list[Change]) -> None:
    """Write a change list: a heading, then a line a change."""
    for row in (heading, *changes):
        file.write(msgspec.json.encode(row) + b"\n")


def read_changes(path: Path) -> tuple[Heading, dict[int, Change]]:
    """Read a change list; raises DataError where it is none or was cut off."""
    try:
        lines = path.read_bytes().splitlines()
        heading = msgspec.json.decode(lines[0], type=Heading, strict=True)
        changes = [msgspec.json.decode(line, type=Change, strict=True) for line in lines[1:]]
    except (OSError, IndexError, msgspec.DecodeError) as error:
        raise DataError(f"is no change list: {error}", where=str(path), fix="name the one `repair` wrote") from error
    if heading.kind != _KIND:
        raise DataError(f"is a list of another kind: {heading.kind!r}", where=str(path))
    return heading, {change.at: change for change in changes}


def undo(repaired: str | os.PathLike[str], output: str | os.PathLike[str], *, changes: str = "") -> int:
    """Write the data as it was before a repair, byte for byte; returns its rows.

    Raises DataError where file and list do not belong together, or what comes out is not what was there; nothing is
    written then.
    """
    path, target = Path(repaired), Path(output)
    heading, known = read_changes(Path(changes) if changes else path.with_name(path.name + ENDING))
    if path.name.lower().endswith((".parquet", ".pq")):
        from hauberk.api.data_repair_parquet import write_back

        return write_back(path, target, heading, known)
    from hauberk.datasets.records import opened, records, shape_of
    from hauberk.datasets.whole_file import whole_files

    after, before = hashlib.sha256(), hashlib.sha256()
    with opened(path) as plain, whole_files(target) as (out,), _packed(target, out) as sink:
        for data in _before(records(plain, shape_of(path)), known, after):
            before.update(data)
            sink.write(data)
        _same(after.hexdigest(), heading.after, path, "was changed since it was repaired")
        _same(before.hexdigest(), heading.before, path, "does not give back what was there")
    return heading.rows


def _before(there: Iterator[Record], known: dict[int, Change], after: hashlib._Hash) -> Iterator[bytes]:
    """Yield the records as they were: dropped ones from the list, changed ones instead of what stands there."""
    place = 0
    for record in there:
        after.update(record.data)
        while place in known and not known[place].cells:
            yield base64.b64decode(known[place].record)
            place += 1
        yield base64.b64decode(known[place].record) if place in known else record.data
        place += 1
    while place in known:
        yield base64.b64decode(known[place].record)
        place += 1


def _same(found: str, wanted: str, path: Path, fault: str) -> None:
    if found != wanted:
        raise DataError(fault, where=str(path), fix="use the file and the change list that `repair` wrote together")
