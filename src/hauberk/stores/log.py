"""The log inside an open transaction: append leaves and a checkpoint, and read only what the signed root covers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, LargeBinary, func, insert, literal, or_, select

from hauberk.core.encoding import canonical
from hauberk.core.errors import StoreError, TamperError
from hauberk.crypto import checkpoints, merkle
from hauberk.crypto.checkpoints import SignedCheckpoint
from hauberk.crypto.signatures import SigningKey, VerifyingKey
from hauberk.stores import schema
from hauberk.stores.records import Count, Leaf, LogEntry, decode_leaf, kind_of, step_of

PAGE = 1000
"""Rows fetched at once."""
_VERIFY = "see `hauberk evidence verify`"


class Identity(NamedTuple):
    """Which log it has to be. where: for messages. origin: its own name. key: what signs it."""

    where: str
    origin: str
    key: VerifyingKey


class Trusted(NamedTuple):
    """A log whose stored leaf hashes give the root that was signed."""

    head: SignedCheckpoint
    tree: merkle.Tree


def last(connection: Connection, log: Identity) -> SignedCheckpoint:
    """Read the newest checkpoint; raises TamperError where it is missing, malformed, of another log or key."""
    data = connection.scalar(select(schema.checkpoints.c.data).order_by(schema.checkpoints.c.size.desc()).limit(1))
    try:
        head = checkpoints.read(data or b"")
    except msgspec.DecodeError as error:
        raise TamperError("the newest checkpoint cannot be read", where=log.where, fix=_VERIFY) from error
    if not checkpoints.is_signed_by(head, log.key):
        raise TamperError(
            f"the newest checkpoint is not signed by this project's key {log.key.id} (it names {head.key})",
            where=log.where,
            fix=f"copy .hauberk/keys from where the log was begun, or {_VERIFY}",
        )
    if head.origin != log.origin:
        raise TamperError(f"the newest checkpoint is of another log, {head.origin}", where=log.where, fix=_VERIFY)
    return head


def checkpoint_at(connection: Connection, size: int) -> bytes | None:
    """Return the canonical JSON of the checkpoint at a size."""
    return connection.scalar(select(schema.checkpoints.c.data).where(schema.checkpoints.c.size == size))


def leaf_hashes(connection: Connection, first: int = 0) -> Iterator[bytes]:
    """Read the stored leaf hashes in order."""
    column = schema.entries.c
    query = select(column.leaf).where(column.idx >= first).order_by(column.idx)
    yield from connection.scalars(query, execution_options={"yield_per": 10 * PAGE})


def grow(connection: Connection, known: merkle.Frontier, head: SignedCheckpoint, log: Identity) -> merkle.Frontier:
    """Return the frontier at `head`, from one known before; raises TamperError where the entries do not give its root.

    Nothing is ever signed on top of a log that was tampered with.
    """
    frontier = known.copy() if known.size <= head.size else merkle.Frontier()
    frontier.extend(leaf_hashes(connection, frontier.size))
    _agree(frontier.size, frontier.root(), head, log.where)
    return frontier


def trusted(connection: Connection, log: Identity) -> Trusted:
    """Read the whole tree; raises TamperError where it is not the one that was signed."""
    head = last(connection, log)
    tree = merkle.Tree(leaf_hashes(connection))
    _agree(tree.size, tree.root(), head, log.where)
    return Trusted(head, tree)


def _agree(size: int, root: bytes, head: SignedCheckpoint, where: str) -> None:
    if (size, root.hex()) != (head.size, head.root):
        what = f"the log's {size} entries do not give the root that was signed for {head.size}"
        raise TamperError(what, where=where, fix=_VERIFY)


def append(
    connection: Connection, frontier: merkle.Frontier, head: SignedCheckpoint, run: str, entries: Sequence[LogEntry]
) -> None:
    """Add entries after `head`, and their hashes to the frontier.

    Raises StoreError for an entry that would not read back.
    """
    rows = []
    for index, entry in enumerate(entries, start=head.size):
        data = _encoded(Leaf(entry=entry, index=index, run=run))
        leaf = merkle.leaf_hash(data)
        frontier.push(leaf)
        rows.append(
            {"idx": index, "run": run, "kind": kind_of(entry), "step": step_of(entry), "data": data, "leaf": leaf}
        )
    connection.execute(insert(schema.entries), rows)


def _encoded(leaf: Leaf) -> bytes:
    """Encode a leaf and see that it reads back: a NaN would be kept as null, which no reader accepts."""
    try:
        data = canonical(leaf)
        decode_leaf(data)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        raise StoreError(
            f"a {kind_of(leaf.entry)} cannot be kept: {error}",
            where=f"run {leaf.run}",
            fix="evidence holds finite numbers and valid text only",
        ) from error
    return data


def seal(
    connection: Connection,
    frontier: merkle.Frontier,
    head: SignedCheckpoint | None,
    key: SigningKey,
    origin: str,
    time: str,
) -> SignedCheckpoint:
    """Sign size and root of the frontier, chained to the checkpoint before."""
    unsigned = SignedCheckpoint(
        origin=origin,
        size=frontier.size,
        root=frontier.root().hex(),
        time=time,
        key=key.public.id,
        previous=checkpoints.digest(head) if head else "",
    )
    signed = checkpoints.sign(unsigned, key)
    connection.execute(insert(schema.checkpoints), [{"size": signed.size, "data": canonical(signed)}])
    return signed


def of_run(run: str) -> ColumnElement[bool]:
    """Select a run's rows: those whose column or whose hashed bytes say so (where only one does, somebody moved it)."""
    ending = b'"run":"' + run.encode() + b'"}'
    data = schema.entries.c.data
    tail = func.substr(data, func.length(data) - len(ending) + 1, type_=LargeBinary)
    return or_(schema.entries.c.run == run, tail == literal(ending, LargeBinary))


def leaves(connection: Connection, known: Trusted, which: ColumnElement[bool], where: str) -> list[Leaf]:
    """Read the selected leaves in order; raises TamperError for one that is not what was signed."""
    column = schema.entries.c
    query = select(column.idx, column.run, column.data).where(which).order_by(column.idx)
    return [_leaf(known, *row, where) for row in connection.execute(query)]


def _leaf(known: Trusted, index: int, run: str, data: bytes, where: str) -> Leaf:
    place = f"{where} entry {index}"
    if not 0 <= index < known.tree.size or merkle.leaf_hash(data) != known.tree.leaf(index):
        raise TamperError("is not what was kept", where=place, fix=_VERIFY)
    try:
        leaf = decode_leaf(data)
    except msgspec.DecodeError as error:
        raise TamperError(f"is no entry of this version: {error}", where=place, fix=_VERIFY) from error
    if (leaf.index, leaf.run) != (index, run):
        raise TamperError(f"belongs to entry {leaf.index} of run {leaf.run}", where=place, fix=_VERIFY)
    return leaf


def bytes_at(connection: Connection, known: Trusted, index: int, where: str) -> bytes | None:
    """Read the canonical JSON of one leaf, exactly as hashed; None where there is none."""
    if not leaves(connection, known, schema.entries.c.idx == index, where):
        return None
    return connection.scalar(select(schema.entries.c.data).where(schema.entries.c.idx == index))


def is_known(connection: Connection, run: str) -> bool:
    """Say whether a run was begun."""
    return connection.scalar(select(schema.runs.c.run).where(schema.runs.c.run == run)) is not None


def counts(connection: Connection) -> dict[str, tuple[Count, ...]]:
    """Count entries by run and kind."""
    column = schema.entries.c
    query = select(column.run, column.kind, func.count()).group_by(column.run, column.kind).order_by(column.kind)
    found: dict[str, tuple[Count, ...]] = {}
    for run, kind, number in connection.execute(query):
        found[run] = (*found.get(run, ()), Count(kind=kind, number=number))
    return found
