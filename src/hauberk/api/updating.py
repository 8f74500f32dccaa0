"""The verb `update`: newer advisories, from a network only when asked, or from a file fetched elsewhere."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from hauberk.api.fetching import fetch
from hauberk.api.osv_dump import Dump, read_dump
from hauberk.core.errors import DataError, MeasurementError, UsageError
from hauberk.core.progress import Silent
from hauberk.core.protocols import Progress
from hauberk.core.provenance import Clock, utc_now
from hauberk.scanning.advisory_file import NAME, AdvisoryFile, Source, read, write
from hauberk.scanning.known_vulnerable import Snapshot, cache_folder, snapshot
from hauberk.scanning.release_index import NAME as RELEASES
from hauberk.scanning.release_index import Listing, Release, pack, release_index

OSV = "https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip"
INDEX = "https://pypi.org/pypi/{name}/json"
DUMP_BYTES, LISTING_BYTES = 512 << 20, 64 << 20
SMALLEST = 0.5
"""A dump with fewer packages than this share of what is at hand is taken for a broken one."""
ATTRIBUTION = (
    "Contains information from the OSV database (osv.dev) and the sources it gathers, among them the GitHub Advisory "
    "Database and the PyPA Advisory Database, licensed CC BY 4.0; shortened and rearranged."
)
_SILENT = Silent()


class Updated(NamedTuple):
    """What an update brought. before: the day of the advisories it replaces. broken: records that could not be read."""

    advisories: int
    packages: int
    checked_on: dt.date
    before: dt.date
    digest: str
    broken: int
    path: Path


class Age(NamedTuple):
    """How old the advisories at hand are."""

    days: int
    source: str
    checked_on: dt.date
    curated_on: dt.date
    packages: int
    fault: str


def age(*, clock: Clock = utc_now) -> Age:
    """Tell how old the advisories at hand are; asks no network."""
    known = snapshot()
    days = (clock().date() - known.checked_on).days
    return Age(days, known.source.name, known.checked_on, known.curated_on, len(known.packages), known.fault)


def update(
    source: str | os.PathLike[str] | None = None,
    *,
    address: str = OSV,
    older: bool = False,
    folder: Path | None = None,
    progress: Progress = _SILENT,
) -> Updated:
    """Replace the advisories at hand with newer ones, whole or not at all.

    source: an OSV archive, a folder of OSV records (JSON or YAML) or a file of ours; None fetches `address`. A list
    older than the one at hand is refused unless `older`: whoever holds an old one back hides what was published since.

    Raises MeasurementError where nothing could be fetched, DataError where what came is no list of advisories.
    """
    target = folder or cache_folder()
    target.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="hauberk-", dir=target) as place,
        progress.step("update", 3, "steps") as step,
    ):
        given, digest = _given(source, address, Path(place))
        step.advance(1, "read")
        known = snapshot()
        data, broken = _packed(given, digest)
        made = Path(place) / NAME
        made.write_bytes(data)
        step.advance(1, "check")
        fresh = read(made)
        _sane(fresh, known, older)
        _keep(made, target / NAME)
        step.advance(1, "keep")
    count = sum(len(fresh.of(name)) for name in fresh.packages)
    day = fresh.source.checked_on
    return Updated(count, len(fresh.packages), day, known.checked_on, fresh.source.digest, broken, target / NAME)


def update_releases(
    names: Iterable[str],
    *,
    address: str = INDEX,
    folder: Path | None = None,
    clock: Clock = utc_now,
    progress: Progress = _SILENT,
) -> tuple[int, tuple[str, ...]]:
    """Ask an index for the releases of some packages and keep the answers; return how many came, and what did not.

    The index learns these names: it is asked only on request.
    """
    wanted = sorted(set(names))
    target = folder or cache_folder()
    target.mkdir(parents=True, exist_ok=True)
    found: list[tuple[str, Listing]] = []
    failed: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="hauberk-", dir=target) as place,
        progress.step("releases", len(wanted), "packages") as step,
    ):
        for name in wanted:
            file = Path(place) / "answer"
            try:
                fetch(address.format(name=name), file, LISTING_BYTES)
                found.append((name, listing(file.read_bytes(), clock().date())))
            except (MeasurementError, DataError) as error:
                failed.append(f"{name}: {error.what}")
            step.advance(1, name)
        if found:
            made = Path(place) / RELEASES
            made.write_bytes(pack(release_index().joined(found)))
            _keep(made, target / RELEASES)
    if wanted and not found:
        raise MeasurementError(
            f"no releases could be fetched: {failed[0]}", fix="check the network; what was known is kept"
        )
    return len(found), tuple(failed)


class _File(msgspec.Struct):
    upload_time_iso_8601: str = ""
    yanked: bool = False
    yanked_reason: str | None = None
    digests: dict[str, str] = {}
    requires_python: str | None = None


class _Answer(msgspec.Struct):
    releases: dict[str, list[_File]] = {}


def listing(data: bytes, asked_on: dt.date) -> Listing:
    """Read an index's JSON answer about one package; raises DataError where it is none."""
    try:
        answer = msgspec.json.decode(data, type=_Answer)
    except msgspec.MsgspecError as error:
        raise DataError(f"not an index's answer: {error}") from error
    return Listing(asked_on, tuple(_release(version, files) for version, files in answer.releases.items() if files))


def _release(version: str, files: list[_File]) -> Release:
    days = sorted(file.upload_time_iso_8601[:10] for file in files if file.upload_time_iso_8601)
    gone = all(file.yanked for file in files)
    reason = next((file.yanked_reason for file in files if file.yanked_reason), "") if gone else None
    hashes = tuple(sorted(file.digests["sha256"] for file in files if "sha256" in file.digests))
    return Release(version, days[0] if days else "", reason, hashes, files[0].requires_python or "")


def _given(source: str | os.PathLike[str] | None, address: str, place: Path) -> tuple[Path, str]:
    if source is None:
        came = fetch(address, place / "all.zip", DUMP_BYTES)
        return place / "all.zip", f"sha256:{came.sha256}"
    path = Path(source)
    if not path.exists():
        raise UsageError("no such file or folder", where=str(path))
    if path.is_dir():
        return path, ""
    with path.open("rb") as stream:
        return path, f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def _packed(given: Path, digest: str) -> tuple[bytes, int]:
    """Turn what was given into a file of ours; one of ours is taken as it is, once it can be read."""
    if given.is_file() and given.name.endswith(".json.gz"):
        read(given)
        return given.read_bytes(), 0
    dump: Dump = read_dump(given)
    source = Source(
        name="OSV",
        attribution=ATTRIBUTION,
        licence="CC-BY-4.0",
        checked_on=dump.newest,
        digest=digest or dump.digest,
    )
    return write(source, dump.rows), dump.broken


def _sane(fresh: AdvisoryFile, known: Snapshot, older: bool) -> None:
    if fresh.source.checked_on < known.checked_on and not older:
        raise DataError(
            f"the newest record is of {fresh.source.checked_on}, older than the list at hand of {known.checked_on}",
            fix="fetch a newer one, or pass --older if you mean it",
        )
    if len(fresh.packages) < SMALLEST * len(known.packages) and not older:
        raise DataError(
            f"{len(fresh.packages)} packages are too few: the list at hand has {len(known.packages)}",
            fix="fetch the whole archive, or pass --older if you mean it",
        )


def _keep(made: Path, target: Path) -> None:
    """Put a finished file in place in one step, on the disk before it is named."""
    with made.open("rb") as stream:
        os.fsync(stream.fileno())
    made.replace(target)
