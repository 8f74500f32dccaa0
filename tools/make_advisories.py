"""Write the shipped list of advisories anew from a copy of the PyPA advisory database.

    git clone https://github.com/pypa/advisory-database
    python tools/make_advisories.py advisory-database

Its records are CC BY 4.0: kept with attribution in the file and on the page of dependencies. Nothing is fetched here.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import yaml

from hauberk.scanning.advisory_file import NAME, Source, write
from hauberk.scanning.osv import Record, advisories

TARGET = Path(__file__).resolve().parent.parent / "src/hauberk/scanning/advisories" / NAME
ATTRIBUTION = (
    "Contains information from the Python Packaging Advisory Database (github.com/pypa/advisory-database) "
    "by its contributors, licensed CC BY 4.0; shortened and rearranged."
)


def records(folder: Path) -> Iterator[tuple[bytes, Record]]:
    """Read every record below vulns/."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for path in sorted((folder / "vulns").rglob("*.yaml")):
        data = path.read_bytes()
        yield data, msgspec.convert(yaml.load(data, loader), Record, strict=False)


def main(folder: Path) -> None:
    """Write the file and say what is in it."""
    read = list(records(folder))
    hasher = hashlib.sha256()
    for data, _ in read:
        hasher.update(data)
    days = [record.modified.date() for _, record in read if record.modified is not None]
    source = Source(
        name="PyPA advisory database",
        attribution=ATTRIBUTION,
        licence="CC-BY-4.0",
        checked_on=max(days, default=dt.date(1970, 1, 1)),
        digest=f"sha256:{hasher.hexdigest()}",
    )
    found = [row for _, record in read for row in advisories(record)]
    packed = write(source, found)
    TARGET.write_bytes(packed)
    print(f"{len(found)} advisories of {len({name for name, _ in found})} packages, {len(packed)} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
