"""Hold a folder against a manifest: which file changed, is missing, is extra, or became something else."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hauberk.core.protocols import Progress
from hauberk.crypto.file_digests import Algorithm, Still, digest_range
from hauberk.sealing.faults import Fault, Malformed
from hauberk.sealing.hashing import digest_all, place
from hauberk.sealing.statement import Manifest, Resource, algorithm_of, split_shard
from hauberk.sealing.tree import Item, below, resolved, walk


class Compared(NamedTuple):
    """What differs. files: how many the manifest names. states: what each file was while it was digested."""

    faults: tuple[Fault, ...]
    files: int
    states: dict[str, Still]
    left_out: tuple[str, ...]


def compare(
    root: Path,
    manifest: Manifest,
    *,
    aside: Sequence[str],
    ignored: Sequence[str] = (),
    quick: bool = False,
    progress: Progress,
) -> Compared:
    """Compare everything below the root with the manifest.

    aside: seals inside the folder, which cannot cover themselves. ignored: what the caller chose not to look at; files
    of the manifest among them are not held either. quick: by BLAKE3 alone where the manifest has it.
    """
    out = (*manifest.serialization.ignore_paths, *ignored)
    listing = walk(root, frozenset((*out, *aside)))
    here = {item.name: item for item in listing.items}
    faults = list(listing.faults)
    wanted = [row for row in manifest.resources if not below(_path(manifest, row), ignored)]
    faults += _kinds(root, manifest, here, ignored)
    if manifest.serialization.method == "shards":
        found, states = _shards(root, wanted, here, progress)
    else:
        found, states = _files(root, manifest, wanted, here, quick, progress)
    named = {_path(manifest, row) for row in manifest.resources}
    links = manifest.more.links if manifest.more else {}
    for item in listing.items:
        if item.kind != "folder" and item.name not in named and item.name not in links:
            faults.append(Fault(kind="extra", path=item.name, message=f"this {item.kind} is not in the seal"))
    return Compared((*faults, *found), len(named), states, tuple(sorted({*out})))


def _path(manifest: Manifest, row: Resource) -> str:
    return split_shard(row.name)[0] if manifest.serialization.method == "shards" else row.name


def _kinds(root: Path, manifest: Manifest, here: dict[str, Item], ignored: Sequence[str]) -> list[Fault]:
    """Find files that became links, links that became files or lead elsewhere, and empty folders that went."""
    recorded = manifest.more.links if manifest.more else {}
    faults = []
    for row in {_path(manifest, row) for row in manifest.resources}:
        item = here.get(row)
        if item is None or row in recorded or item.kind == "file":
            continue
        allowed = item.kind == "link" and manifest.links == "follow" and not resolved(root, item, "follow")
        if not allowed:
            faults.append(Fault(kind="kind", path=row, message=f"was a file and is a {_word(item)} now"))
    for name, target in recorded.items():
        item = here.get(name)
        if below(name, ignored):
            continue
        if item is None:
            faults.append(Fault(kind="missing", path=name, message="the link is not there"))
        elif item.kind != "link":
            faults.append(Fault(kind="kind", path=name, message=f"was a link and is a {_word(item)} now"))
        elif item.target != target:
            faults.append(Fault(kind="kind", path=name, message="the link leads elsewhere now"))
        elif reason := resolved(root, item, "record"):
            faults.append(Fault(kind="kind", path=name, message=reason))
    for name in manifest.more.folders if manifest.more else ():
        item = here.get(name)
        if below(name, ignored) or _is_folder(root, name):
            continue
        word = "the empty folder is not there" if item is None else f"was an empty folder and is a {_word(item)} now"
        faults.append(Fault(kind="missing" if item is None else "kind", path=name, message=word))
    return faults


def _is_folder(root: Path, name: str) -> bool:
    """Say whether there is a folder of a name that a manifest gave, however odd the name."""
    try:
        return stat.S_ISDIR((root / name).lstat().st_mode)
    except (OSError, ValueError):
        return False


def _word(item: Item) -> str:
    return "socket, pipe or device" if item.kind == "other" else item.kind


def _readable(name: str, here: dict[str, Item]) -> bool:
    return name in here and here[name].kind in ("file", "link")


def _files(
    root: Path, manifest: Manifest, wanted: Sequence[Resource], here: dict[str, Item], quick: bool, progress: Progress
) -> tuple[list[Fault], dict[str, Still]]:
    more = manifest.more.blake3 if manifest.more else {}
    expected: dict[str, dict[Algorithm, str]] = {}
    for row in wanted:
        values: dict[Algorithm, str] = {algorithm_of(row): row.digest}
        if row.name in more:
            values = {"blake3": more[row.name]} if quick else {**values, "blake3": more[row.name]}
        expected[row.name] = values
    linked = frozenset(name for name, item in here.items() if item.kind == "link" and manifest.links != "refuse")
    faults, states = [], {}
    kinds: dict[tuple[Algorithm, ...], list[str]] = {}
    for name, values in expected.items():
        if _readable(name, here) and (here[name].kind == "file" or name in linked):
            kinds.setdefault(tuple(sorted(values, reverse=True)), []).append(name)
        elif name not in here:
            faults.append(Fault(kind="missing", path=name, message="the file is not there"))
    with progress.step("verify", sum(map(len, kinds.values())), "files") as step:
        for algorithms, names in kinds.items():
            for name, found in digest_all(root, names, algorithms, linked=linked, step=step).items():
                if found.digests is None:
                    faults += [found.fault] if found.fault else []
                    continue
                states[name] = found.digests.still
                if found.digests.values != expected[name]:
                    faults.append(Fault(kind="changed", path=name, message="the content is not what was sealed"))
    return faults, states


def _shards(
    root: Path, wanted: Sequence[Resource], here: dict[str, Item], progress: Progress
) -> tuple[list[Fault], dict[str, Still]]:
    """Hold each piece, and see that the pieces cover the file from end to end."""
    pieces: dict[str, list[tuple[int, int, Resource]]] = {}
    for row in wanted:
        path, start, end = split_shard(row.name)
        pieces.setdefault(path, []).append((start, end, row))
    faults, states = [], {}
    with progress.step("verify", len(pieces), "files") as step:
        for path, rows in pieces.items():
            step.advance()
            if path not in here:
                faults.append(Fault(kind="missing", path=path, message="the file is not there"))
                continue
            try:
                states[path] = _cover(root, path, sorted(rows, key=lambda row: row[:2]))
            except Malformed as error:
                faults.append(Fault(kind="malformed", path=path, message=str(error)))
            except _Differs as error:
                faults.append(Fault(kind="changed", path=path, message=str(error)))
            except OSError as error:
                reason = error.strerror or str(error)
                faults.append(Fault(kind="unreadable", path=path, message=f"cannot be read: {reason}"))
    return faults, states


class _Differs(Exception):
    """A piece of a file that is not what was sealed."""


def _cover(root: Path, path: str, rows: Sequence[tuple[int, int, Resource]]) -> Still:
    where = Path(place(root, path))
    before, position = Still.of(where.stat()), 0
    for start, end, row in rows:
        if start != position or end <= start:
            raise Malformed("its pieces leave a gap or overlap")
        position = end
        if end > before.size or digest_range(where, start, end, algorithm_of(row), follow=True) != row.digest:
            raise _Differs(f"bytes {start} to {end} are not what was sealed")
    if position != before.size:
        raise _Differs(f"it is {before.size} bytes long, {position} were sealed")
    if Still.of(where.stat()) != before:
        raise OSError("it changed while it was read")
    return before
