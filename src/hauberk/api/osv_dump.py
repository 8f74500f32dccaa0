"""A dump of OSV records, as an archive or a folder, read within bounds."""

from __future__ import annotations

import datetime as dt
import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import yaml

from hauberk.core.errors import DataError, LimitExceeded
from hauberk.scanning.advisory import Advisory
from hauberk.scanning.osv import Record, advisories

RECORDS, RECORD_BYTES, TOTAL_BYTES = 1_000_000, 16 << 20, 8 << 30
WORST = 0.05
"""Share of records that may be unreadable before the whole dump is refused."""
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Dump(NamedTuple):
    """What a dump holds. newest: the day of its newest record. broken: records that could not be read."""

    rows: list[tuple[str, Advisory]]
    newest: dt.date
    digest: str
    broken: int


def read_dump(path: Path) -> Dump:
    """Read every record; raises DataError where it is no dump, or most of it is broken."""
    rows: list[tuple[str, Advisory]] = []
    newest, hasher = dt.date(1970, 1, 1), hashlib.sha256()
    count = broken = 0
    for name, data in _folder(path) if path.is_dir() else _archive(path):
        count += 1
        hasher.update(data)
        try:
            record = _record(name, data)
            rows.extend(advisories(record))
        except (msgspec.MsgspecError, yaml.YAMLError, ValueError, RecursionError):
            broken += 1
            continue
        if record.modified is not None:
            newest = max(newest, record.modified.date())
    if not rows:
        raise DataError("no advisory of a Python package is in it", where=path.name, fix="give OSV's archive for PyPI")
    if broken > WORST * count:
        raise DataError(f"{broken} of {count} records cannot be read", where=path.name, fix="fetch it again")
    return Dump(rows, newest, f"sha256:{hasher.hexdigest()}", broken)


def _record(name: str, data: bytes) -> Record:
    if name.endswith(".json"):
        return msgspec.json.decode(data, type=Record)
    return msgspec.convert(yaml.load(data, _LOADER), Record, strict=False)  # noqa: S506 - a safe loader


def _folder(path: Path) -> Iterator[tuple[str, bytes]]:
    files = sorted(file for file in path.rglob("*") if file.suffix in (".json", ".yaml") and file.is_file())
    for file in files[:RECORDS]:
        if file.stat().st_size <= RECORD_BYTES:
            yield file.name, file.read_bytes()


def _archive(path: Path) -> Iterator[tuple[str, bytes]]:
    total = 0
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith((".json", ".yaml"))]
            for info in members[:RECORDS]:
                with archive.open(info) as stream:
                    data = stream.read(RECORD_BYTES + 1)
                total += len(data)
                if len(data) > RECORD_BYTES or total > TOTAL_BYTES:
                    raise LimitExceeded("a record or the whole unpacks to more than it may", where=path.name)
                yield info.filename, data
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, EOFError) as error:
        raise DataError(f"not an OSV archive: {error}", where=path.name, fix="give OSV's archive for PyPI") from error
