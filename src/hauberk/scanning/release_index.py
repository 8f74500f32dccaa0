"""What an index said of packages when it was last asked: releases, their days, hashes, and which were withdrawn."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import zlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import msgspec
from packaging.version import Version

from hauberk.core.errors import DataError
from hauberk.scanning.advisory import parsed
from hauberk.scanning.known_vulnerable import cache_folder

NAME = "releases.json.gz"
_UNPACKED = 256 << 20
_ENCODER = msgspec.json.Encoder(order="sorted")


class Release(msgspec.Struct, frozen=True, array_like=True):
    """One release. day: ISO date, empty where unknown. yanked: the reason it was withdrawn for, None if it stands.

    hashes: sha256 of its files, hexadecimal. python: which Pythons it runs on, a specifier.
    """

    version: str
    day: str = ""
    yanked: str | None = None
    hashes: tuple[str, ...] = ()
    python: str = ""


class Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All releases of a package. asked_on: the day the index answered."""

    asked_on: dt.date
    releases: tuple[Release, ...]

    def of(self, version: Version) -> Release | None:
        """Return a release by its version."""
        return next((row for row in self.releases if parsed(row.version) == version), None)

    @property
    def last_day(self) -> dt.date | None:
        """The day of the newest release that stands."""
        days = [row.day for row in self.releases if row.day and row.yanked is None]
        return dt.date.fromisoformat(max(days)) if days else None


class ReleaseIndex(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Listings by normalised name."""

    packages: dict[str, Listing] = {}

    def of(self, package: str) -> Listing | None:
        """Return a package's listing, None where the index was never asked for it."""
        return self.packages.get(package)

    def joined(self, newer: Iterable[tuple[str, Listing]]) -> ReleaseIndex:
        """Return an index with listings added or replaced."""
        return ReleaseIndex({**self.packages, **dict(newer)})


def pack(index: ReleaseIndex) -> bytes:
    """Encode an index; equal ones give equal bytes."""
    return gzip.compress(_ENCODER.encode(index), 9, mtime=0)


def unpack(path: Path) -> ReleaseIndex:
    """Read an index from a file; raises DataError where it is none, OSError where it cannot be read."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(path.read_bytes())) as stream:
            text = stream.read(_UNPACKED + 1)
        if len(text) > _UNPACKED:
            raise DataError(f"unpacks to more than {_UNPACKED} bytes", where=path.name)
        return msgspec.json.decode(text, type=ReleaseIndex)
    except (gzip.BadGzipFile, EOFError, zlib.error, msgspec.MsgspecError) as error:
        raise DataError(
            f"not a file of releases: {error}", where=path.name, fix="run: hauberk update --releases"
        ) from (error)


def release_index() -> ReleaseIndex:
    """Read what `hauberk update --releases` kept; empty where it never ran or its file is broken."""
    path = cache_folder() / NAME
    try:
        seen = path.stat()
    except OSError:
        return ReleaseIndex()
    return _kept(str(path), seen.st_mtime_ns, seen.st_size)


@cache
def _kept(path: str, changed: int, size: int) -> ReleaseIndex:  # noqa: ARG001 - a changed file is another key
    try:
        return unpack(Path(path))
    except (DataError, OSError):
        return ReleaseIndex()
