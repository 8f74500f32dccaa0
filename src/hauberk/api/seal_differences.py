"""The verb `diff`: what changed from one seal to another, by files and by rows, without the data itself."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from hauberk.core.errors import UsageError
from hauberk.sealing.bundle import decode
from hauberk.sealing.difference import difference, ranges
from hauberk.sealing.faults import Malformed, shown
from hauberk.sealing.places import bundle_bytes, rooted, seal_file
from hauberk.sealing.row_blocks import RowBlocks, differing
from hauberk.sealing.row_faults import sealed_digests
from hauberk.sealing.statement import Manifest
from hauberk.sealing.statement import decode as decode_statement


class TableDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What changed in a table. added: rows of the new one. removed: of the old one. changed: old and new row. moved.

    exact: False where only blocks of rows could be compared; then `somewhere` holds ranges [start, end) of rows.
    """

    path: str
    added: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()
    changed: tuple[tuple[int, int], ...] = ()
    moved: int = 0
    exact: bool = True
    somewhere: tuple[tuple[int, int], ...] = ()
    header: bool = False


class SealDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What changed between two seals. renamed: (old name, new name) of the same content. notes: what to know.

    fresh: name → rows of the new seal that the old one did not cover (added and changed): audit these first.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    tables: tuple[TableDifference, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def fresh(self) -> dict[str, tuple[int, ...]]:
        """Return the rows that are new."""
        return {
            table.path: tuple(sorted({*table.added, *(new for _, new in table.changed)}))
            for table in self.tables
            if table.exact and (table.added or table.changed)
        }

    def lines(self) -> list[str]:
        """Word it, a line for each file."""
        rows = [f"added: {shown(name)}" for name in self.added]
        rows += [f"removed: {shown(name)}" for name in self.removed]
        rows += [f"renamed: {shown(old)} is {shown(new)} now" for old, new in self.renamed]
        tables = {table.path: table for table in self.tables}
        rows += [f"changed: {shown(name)}{_words(tables.get(name))}" for name in self.changed]
        return rows + [f"note: {note}" for note in self.notes] if rows else []


def diff(old: str | os.PathLike[str], new: str | os.PathLike[str]) -> SealDifference:
    """Compare two seals: sealed files or folders, or the seals themselves. Signatures are not looked at: verify first.

    Raises UsageError where a seal cannot be read.

    Example:
        >>> hauberk.diff("data-v1", "data-v2").changed  # doctest: +SKIP
    """
    (before, old_seal), (after, new_seal) = _read(Path(old)), _read(Path(new))
    was = {row.name: row.digest for row in before.resources}
    now = {row.name: row.digest for row in after.resources}
    gone, come = set(was) - set(now), set(now) - set(was)
    renamed = _renamed({name: was[name] for name in gone}, {name: now[name] for name in come})
    changed = tuple(sorted(name for name in set(was) & set(now) if was[name] != now[name]))
    old_rows, new_rows = _rows(before), _rows(after)
    old_kept, new_kept = sealed_digests(old_seal, old_rows), sealed_digests(new_seal, new_rows)
    tables = []
    for name in changed:
        if name in old_rows and name in new_rows:
            header = old_rows[name].columns != new_rows[name].columns
            if name in old_kept and name in new_kept:
                found = difference(old_kept[name], new_kept[name])
                tables.append(TableDifference(path=name, **found._asdict(), header=header))
            else:
                somewhere = tuple(differing(old_rows[name], new_rows[name]))
                tables.append(TableDifference(path=name, exact=False, somewhere=somewhere, header=header))
    return SealDifference(
        added=tuple(sorted(come - {two for _, two in renamed})),
        removed=tuple(sorted(gone - {one for one, _ in renamed})),
        changed=changed,
        renamed=renamed,
        tables=tuple(tables),
        notes=("the signatures were not looked at: hauberk verify",),
    )


def _read(path: Path) -> tuple[Manifest, Path]:
    """Read a seal, or the one that belongs to a sealed file or folder; raises UsageError."""
    seal = path if path.name.endswith(".sig") else seal_file(rooted(path))
    try:
        return decode_statement(decode(bundle_bytes(seal)).payload), seal
    except Malformed as error:
        raise UsageError(f"is no seal: {error}", where=shown(str(seal)), fix="seal it first") from error


def _rows(manifest: Manifest) -> dict[str, RowBlocks]:
    return manifest.more.rows if manifest.more is not None else {}


def _renamed(gone: dict[str, str], come: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Pair files of the same content under another name."""
    by_digest: dict[str, list[str]] = {}
    for name in sorted(come):
        by_digest.setdefault(come[name], []).append(name)
    pairs = []
    for name in sorted(gone):
        there = by_digest.get(gone[name])
        if there:
            pairs.append((name, there.pop(0)))
    return tuple(pairs)


def _words(table: TableDifference | None) -> str:
    if table is None:
        return ""
    head = ": the header changed" if table.header else ""
    if not table.exact:
        rows = [row for start, end in table.somewhere for row in range(start, end)]
        return head + (f": somewhere in {ranges(rows)}" if rows else ": the same rows")
    parts = [
        f"{what} {ranges(places)}"
        for what, places in (
            ("changed", [new for _, new in table.changed]),
            ("added", list(table.added)),
            ("removed", list(table.removed)),
        )
        if places
    ]
    parts += [f"{table.moved} rows moved"] if table.moved else []
    return head + ": " + ("; ".join(parts) or "the same rows")
