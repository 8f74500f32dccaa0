"""Make the manifest of a file or a folder."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hauberk.core.protocols import Progress
from hauberk.crypto.file_digests import Algorithm
from hauberk.sealing.faults import Fault
from hauberk.sealing.hashing import Digested, digest_all, place
from hauberk.sealing.row_blocks import Rows, blocks_of
from hauberk.sealing.statement import (
    Manifest,
    More,
    Resource,
    Serialization,
    Subject,
    root_digest,
    sorted_resources,
)
from hauberk.sealing.table_rows import SUFFIXES, Unreadable, rows_of
from hauberk.sealing.tree import WHOLE, Item, Links, collisions, resolved, unchanged, unprintable, walk

BOTH: tuple[Algorithm, ...] = ("sha256", "blake3")


class Made(NamedTuple):
    """A manifest, or why there is none; notes: what the owner should know. tables: digests of the rows of tables."""

    manifest: Manifest | None
    faults: tuple[Fault, ...]
    notes: tuple[str, ...]
    tables: dict[str, Rows] = {}  # noqa: RUF012 - never changed


def make(
    root: Path,
    *,
    name: str,
    ignored: Sequence[str],
    links: Links,
    now: dt.datetime,
    expires: dt.datetime | None,
    progress: Progress,
    rows: bool = False,
) -> Made:
    """List and digest everything below a root. One fault and there is no manifest: a seal covers all or is none.

    rows: digest the rows of tables too.
    """
    listing = walk(root, frozenset(ignored))
    faults = list(listing.faults)
    for item in listing.items:
        reason = unprintable(item.name) or _unsealable(root, item, links)
        if reason:
            faults.append(Fault(kind="kind", path=item.name, message=reason))
    if faults:
        return Made(None, tuple(faults), ())
    linked = frozenset(item.name for item in listing.items if item.kind == "link")
    names = [item.name for item in listing.items if item.kind == "file" or _is_file(root, item)]
    with progress.step("hash", len(names), "files") as step:
        found = digest_all(root, names, BOTH, linked=linked, step=step)
    faults = [row.fault for row in found.values() if row.fault is not None]
    if faults:
        return Made(None, tuple(faults), ())
    digests = {name: row.digests.values for name, row in found.items() if row.digests is not None}
    tables, notes = _tables(root, found, progress) if rows else ({}, [])
    resources = sorted_resources([Resource(key, "sha256", values["sha256"]) for key, values in digests.items()])
    recorded = links == "record"
    more = More(
        sealed=now.isoformat(timespec="seconds"),
        expires=expires.isoformat(timespec="seconds") if expires else "",
        blake3={row.name: digests[row.name]["blake3"] for row in resources},
        links={item.name: item.target for item in listing.items if item.kind == "link"} if recorded else {},
        folders=tuple(item.name for item in listing.items if item.kind == "folder"),
        link_rule=links,
        rows={key: blocks_of(table) for key, table in sorted(tables.items())},
    )
    manifest = Manifest(
        subject=Subject(name=name, digest={"sha256": root_digest(resources)}),
        serialization=Serialization(
            method="files", allow_symlinks=links != "refuse", ignore_paths=tuple(sorted(ignored))
        ),
        resources=resources,
        more=more,
    )
    pairs = collisions(row.name for row in resources)
    notes += [f"{one} and {two} are one name where case or accents do not count" for one, two in pairs[:10]]
    return Made(manifest, (), tuple(notes), tables)


def _tables(root: Path, found: Mapping[str, Digested], progress: Progress) -> tuple[dict[str, Rows], list[str]]:
    """Digest the rows of what is a table; one that cannot be read as such is sealed as a file, and a note says so."""
    tables: dict[str, Rows] = {}
    notes: list[str] = []
    names = [name for name in found if (root.name if name == WHOLE else name).lower().endswith(tuple(SUFFIXES))]
    with progress.step("rows", len(names), "tables") as step:
        for name in names:
            path, digests = Path(place(root, name)), found[name].digests
            try:
                table = rows_of(path)
                if digests is None or not unchanged(path, digests.still, follow=True):
                    raise Unreadable("it changed while it was read")
                tables |= {name: table} if table is not None else {}
            except Unreadable as error:
                notes.append(f"the rows of {name} are not digested: {error}")
            step.advance()
    return tables, notes


def _unsealable(root: Path, item: Item, links: Links) -> str:
    if item.kind == "other":
        return "is neither file, folder nor link"
    return resolved(root, item, links) if item.kind == "link" else ""


def _is_file(root: Path, item: Item) -> bool:
    return item.kind == "link" and (root / item.name if item.name != "." else root).is_file()
