"""The compact file advisories are kept in: one gzip of JSON, indexed by package, each decoded when asked."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from hauberk.core.errors import DataError
from hauberk.scanning.advisory import Advisory
from hauberk.scanning.osv import merged

FORMAT = 1
NAME = "pypi.json.gz"
UNPACKED = 256 << 20
"""Bytes a file of advisories may unpack to: all of PyPI's take some ten millions."""
_ENCODER, _ROWS = msgspec.json.Encoder(order="sorted"), msgspec.json.Decoder(tuple[Advisory, ...])


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where advisories come from. checked_on: the day of the newest record. digest: of the bytes they were read from.

    attribution: what the licence asks to be said.
    """

    name: str
    attribution: str
    licence: str
    checked_on: dt.date
    digest: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    source: Source
    packages: dict[str, msgspec.Raw]


class AdvisoryFile:
    """Advisories by package. digest: of the file, for caches that depend on it."""

    def __init__(self, source: Source, rows: Mapping[str, msgspec.Raw], digest: str) -> None:
        self.source, self.digest = source, digest
        self._rows = rows
        self._read: dict[str, tuple[Advisory, ...]] = {}

    @property
    def packages(self) -> frozenset[str]:
        """Names of all packages with an advisory."""
        return frozenset(self._rows)

    def of(self, package: str) -> tuple[Advisory, ...]:
        """Return a package's advisories by its normalised name."""
        if package not in self._rows:
            return ()
        if package not in self._read:
            self._read[package] = _ROWS.decode(self._rows[package])
        return self._read[package]


def write(source: Source, found: Iterable[tuple[str, Advisory]]) -> bytes:
    """Encode advisories, records of one weakness joined; the same advisories give the same bytes."""
    rows: dict[str, list[Advisory]] = {}
    for package, advisory in found:
        rows.setdefault(package, []).append(advisory)
    joined = {name: msgspec.Raw(_ENCODER.encode(merged(rows[name]))) for name in sorted(rows)}
    return gzip.compress(_ENCODER.encode(_File(FORMAT, source, joined)), 9, mtime=0)


def read(path: Path) -> AdvisoryFile:
    """Read a file of advisories; raises DataError where it is not one, OSError where it cannot be read."""
    data = path.read_bytes()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            text = stream.read(UNPACKED + 1)
        if len(text) > UNPACKED:
            raise DataError(f"unpacks to more than {UNPACKED} bytes", where=path.name)
        content = msgspec.json.decode(text, type=_File)
    except (OSError, EOFError, zlib.error, msgspec.MsgspecError) as error:
        raise DataError(f"not a file of advisories: {error}", where=path.name, fix="run: hauberk update") from error
    if content.format != FORMAT:
        raise DataError(f"format {content.format} is not {FORMAT}", where=path.name, fix="run: hauberk update")
    return AdvisoryFile(content.source, content.packages, f"sha256:{hashlib.sha256(data).hexdigest()}")
