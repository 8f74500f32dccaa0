"""Make the manifest of a file or a folder."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hauberk.core.protocols import Progress
from hauberk.crypto.file_digests import Algorithm
from hauberk.sealing.faults import Fault
from hauberk.sealing.hashing import digest_all
from hauberk.sealing.statement import (
    Manifest,
    More,
    Resource,
    Serialization,
    Subject,
    root_digest,
    sorted_resources,
)
from hauberk.sealing.tree import Item, Links, collisions, resolved, unprintable, walk

BOTH: tuple[Algorithm, ...] = ("sha256", "blake3")


class Made(NamedTuple):
    """A manifest, or why there is none; notes: what the owner should know."""

    manifest: Manifest | None
    faults: tuple[Fault, ...]
    notes: tuple[str, ...]


def make(
    root: Path,
    *,
    name: str,
    ignored: Sequence[str],
    links: Links,
    now: dt.datetime,
    expires: dt.datetime | None,
    progress: Progress,
) -> Made:
    """List and digest everything below a root. One fault and there is no manifest: a seal covers all or is none."""
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
    resources = sorted_resources([Resource(key, "sha256", values["sha256"]) for key, values in digests.items()])
    recorded = links == "record"
    more = More(
        sealed=now.isoformat(timespec="seconds"),
        expires=expires.isoformat(timespec="seconds") if expires else "",
        blake3={row.name: digests[row.name]["blake3"] for row in resources},
        links={item.name: item.target for item in listing.items if item.kind == "link"} if recorded else {},
        folders=tuple(item.name for item in listing.items if item.kind == "folder"),
        link_rule=links,
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
    notes = tuple(f"{one} and {two} are one name where case or accents do not count" for one, two in pairs[:10])
    return Made(manifest, (), notes)


def _unsealable(root: Path, item: Item, links: Links) -> str:
    if item.kind == "other":
        return "is neither file, folder nor link"
    return resolved(root, item, links) if item.kind == "link" else ""


def _is_file(root: Path, item: Item) -> bool:
    return item.kind == "link" and (root / item.name if item.name != "." else root).is_file()
