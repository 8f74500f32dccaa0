"""The evidence store: an append-only log of runs, hashed into a Merkle tree, every append signed."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType

from sqlalchemy import Connection, insert, select

from hauberk.core.errors import StoreError, TamperError, UnknownName, UsageError, nearest
from hauberk.core.evidence import Checkpoint, Entry
from hauberk.core.protocols import Receipt
from hauberk.core.provenance import Clock, utc_now
from hauberk.crypto import checkpoints, merkle, signatures
from hauberk.crypto.checkpoints import SignedCheckpoint
from hauberk.crypto.signatures import SigningKey, VerifyingKey
from hauberk.stores import log, schema, verification, witness
from hauberk.stores.databases import FOLDER, Place, open_place
from hauberk.stores.records import (
    ConsistencyProof,
    Count,
    InclusionProof,
    Leaf,
    LogEntry,
    Problem,
    RunFinished,
    RunHeader,
    RunSummary,
    Verification,
)

__all__ = ["EvidenceStore", "RunHeader", "key_path", "open_store"]

_RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def key_path(folder: Path) -> Path:
    """Name the file of a project's signing key; the public half stands beside it as evidence.pub."""
    return folder / FOLDER / "keys" / "evidence.key"


def open_store(
    url: str, folder: Path, *, clock: Clock = utc_now, read_only: bool = False, patience: float = 30.0
) -> EvidenceStore:
    """Open the log of a project folder, begun on first use together with its signing key.

    url: sqlite:///PATH (relative to the folder) or postgresql://…; $NAME parts are read from the environment.
    read_only: to show, verify and prove; makes no file. patience: seconds to wait for other writers.
    Raises UsageError for a wrong URL, StoreError where the place cannot be reached, read or written, TamperError where
    the log contradicts its witness file.
    """
    place = open_place(url, folder, read_only=read_only, patience=patience)
    try:
        return _for_reading(place, folder, clock) if read_only else _for_writing(place, folder, clock)
    except BaseException:
        place.close()
        raise


def _for_reading(place: Place, folder: Path, clock: Clock) -> EvidenceStore:
    with place.reading() as connection:
        origin = schema.origin_of(connection, place.where)
    if origin is None:
        raise StoreError("no evidence has been kept here", where=place.where, fix="run `hauberk check`")
    public = signatures.load_public(signatures.public_path(key_path(folder)))
    return EvidenceStore(place, origin, public, None, clock)


def _for_writing(place: Place, folder: Path, clock: Clock) -> EvidenceStore:
    with place.writing() as connection:
        origin = schema.origin_of(connection, place.where)
        begun = origin is None
        if origin is None:
            _refuse_to_begin_again(place)
            origin, key = f"hauberk/{secrets.token_hex(16)}", signatures.load_or_create(key_path(folder))
            schema.create(connection, origin)
            log.seal(connection, merkle.Frontier(), None, key, origin, _now(clock))
        else:
            key = signatures.load(key_path(folder))
        store = EvidenceStore(place, origin, key.public, key, clock)
        head = log.last(connection, store.identity)
    if begun or (head.size == 0 and witness.read(place.head) is None):
        store.keep_head(head)
    return store


def _refuse_to_begin_again(place: Place) -> None:
    """Refuse to begin a new log where the witness file remembers one: somebody took the database away."""
    seen = witness.read(place.head)
    if seen is not None and seen.size:
        raise TamperError(
            f"the log is gone, but {seen.size} entries were seen on {seen.time}",
            where=place.where,
            fix=f"put the database back from a copy; to begin a new log on purpose, move {place.head.name} away",
        )


def _now(clock: Clock) -> str:
    return clock().isoformat(timespec="seconds")


class EvidenceStore:
    """An open log. Safe to share between threads; other processes may write to the same log at the same time."""

    def __init__(
        self, place: Place, origin: str, public: VerifyingKey, signing: SigningKey | None, clock: Clock
    ) -> None:
        self.identity = log.Identity(place.where, origin, public)
        self._place, self._signing, self._clock = place, signing, clock
        self._lock = threading.Lock()
        self._frontier = merkle.Frontier()
        self._unseen: OSError | None = None

    def __enter__(self) -> EvidenceStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._place.close()
        if kind is None and self._unseen is not None:
            raise StoreError(
                f"the witness file could not be written: {self._unseen.strerror}; the log itself is whole",
                where=str(self._place.head),
                fix="make the folder writable and run again: the next append writes it",
            )

    # --- write

    def begin(self, header: RunHeader) -> None:
        """Record that a run begins; or, where it was broken off, that it goes on.

        Raises StoreError for a name that is not 1 to 64 letters, digits, dots, dashes and underscores.
        """
        if not _RUN_NAME.fullmatch(header.run):
            raise StoreError(
                f'"{header.run}" cannot name a run', fix="use 1 to 64 letters, digits, dots, dashes and underscores"
            )
        self._append(header.run, (header,))

    def append(self, run: str, entries: Sequence[Entry]) -> Receipt:
        """Keep entries of a run that was begun, all or none, and sign the log as it is then.

        Returns only once they would survive kill -9 or a power cut. Raises StoreError where they cannot be kept,
        TamperError where the log is not what was signed: nothing is ever signed on top of that.
        """
        return self._append(run, entries)

    def finish(self, run: str, status: str) -> Receipt:
        """Record that a run came to its end."""
        return self._append(run, (RunFinished(run=run, status=status, time=_now(self._clock)),))

    def _append(self, run: str, entries: Sequence[LogEntry]) -> Receipt:
        where, key = self._place.where, self._signing
        if key is None:
            raise StoreError("the log was opened to be read", where=where, fix="open it with read_only=False")
        with self._lock:
            with self._place.writing() as connection:
                head = log.last(connection, self.identity)
                self._refuse_contradiction(connection, head)
                frontier = log.grow(connection, self._frontier, head, self.identity)
                self._admit(connection, run, entries, head.size)
                signed = head
                if entries:
                    log.append(connection, frontier, head, run, entries)
                    signed = log.seal(connection, frontier, head, key, self.identity.origin, _now(self._clock))
            self._frontier = frontier
            self.keep_head(signed)
        return Receipt(first=head.size, size=signed.size, root=signed.root)

    def _admit(self, connection: Connection, run: str, entries: Sequence[LogEntry], size: int) -> None:
        """List a new run; refuse entries of a run that was never begun."""
        if log.is_known(connection, run):
            return
        if not entries or not isinstance(entries[0], RunHeader):
            raise StoreError(f'the run "{run}" was never begun', where=self._place.where, fix="call begin first")
        connection.execute(insert(schema.runs), [{"run": run, "first": size}])

    def _refuse_contradiction(self, connection: Connection, head: SignedCheckpoint) -> None:
        """Raise TamperError where the witness file has seen another log, or is gone."""
        seen = witness.read(self._place.head)
        if seen is None:
            if head.size:
                raise TamperError(
                    "the witness file is gone: nothing shows that the log was not cut short",
                    where=str(self._place.head),
                    fix="copy it from where the log was last written, or run `hauberk evidence trust`",
                )
            return
        found = witness.disagreement(seen, head, partial(log.checkpoint_at, connection))
        if found:
            raise witness.refuse(self._place.head, found)

    def keep_head(self, head: SignedCheckpoint) -> None:
        """Write the witness file. A fault is kept for later: the entries themselves are already safe."""
        try:
            witness.write(self._place.head, head)
        except OSError as error:
            self._unseen = error
        else:
            self._unseen = None

    def adopt_head(self) -> SignedCheckpoint:
        """Trust the log as it is now and write its newest checkpoint to the witness file.

        For a log that was moved here on purpose without its witness file. Raises TamperError where the log itself is
        not what its key signed.
        """
        with self._place.reading() as connection:
            head = log.trusted(connection, self.identity).head
        self._place.head.unlink(missing_ok=True)
        self.keep_head(head)
        return head

    # --- read

    def head(self) -> SignedCheckpoint:
        """Return the newest signed checkpoint: hand it to someone, and the log can never be cut short before it."""
        with self._place.reading() as connection:
            return log.last(connection, self.identity)

    def entries(self, run: str) -> Iterator[Entry]:
        """Read back a run's evidence and checkpoints in order; raises TamperError where they do not match the log."""
        return (leaf.entry for leaf in self.leaves(run) if not isinstance(leaf.entry, RunHeader | RunFinished))

    def leaves(self, run: str) -> tuple[Leaf, ...]:
        """Read all leaves of a run with their index in the log, its beginning and end too; raises TamperError."""
        with self._snapshot() as (connection, known):
            return tuple(log.leaves(connection, known, log.of_run(run), self._place.where))

    def checkpoints_of(self, step: str) -> tuple[Checkpoint, ...]:
        """Read the newest checkpoint of each part of a piece of work, of whatever run, in the order of the parts."""
        with self._snapshot() as (connection, known):
            found = log.leaves(connection, known, schema.entries.c.step == step, self._place.where)
        newest = {leaf.entry.part: leaf.entry for leaf in found if isinstance(leaf.entry, Checkpoint)}
        return tuple(newest[part] for part in sorted(newest))

    @contextmanager
    def _snapshot(self) -> Iterator[tuple[Connection, log.Trusted]]:
        """Open a log whose hashes give its signed root and that the witness, read before it, does not contradict."""
        seen = witness.read(self._place.head)
        with self._place.reading() as connection:
            known = log.trusted(connection, self.identity)
            found = seen and witness.disagreement(seen, known.head, partial(log.checkpoint_at, connection))
            if found:
                raise witness.refuse(self._place.head, found)
            yield connection, known

    def runs(self) -> tuple[RunSummary, ...]:
        """List the runs, newest first; raises TamperError where the log is not what was signed.

        The counts are read from columns that only `verify` holds against the log.
        """
        with self._snapshot() as (connection, known):
            lifecycle = schema.entries.c.kind.in_(("run_begun", "run_finished"))
            events = log.leaves(connection, known, lifecycle, self._place.where)
            counts = log.counts(connection)
        first: dict[str, tuple[int, RunHeader]] = {}
        last: dict[str, LogEntry] = {}
        for leaf in events:
            last[leaf.run] = leaf.entry
            if isinstance(leaf.entry, RunHeader):
                first.setdefault(leaf.run, (leaf.index, leaf.entry))
        return tuple(
            _summary(header, index, last[run], counts.get(run, ())) for run, (index, header) in reversed(first.items())
        )

    def find(self, name: str) -> RunSummary:
        """Find a run by its name, the beginning of its name, or "latest"; raises UnknownName."""
        summaries = self.runs()
        if name == "latest" and summaries:
            return summaries[0]
        exact = [summary for summary in summaries if summary.run == name]
        found = exact or [summary for summary in summaries if name and summary.run.startswith(name)]
        if len(found) == 1:
            return found[0]
        raise UnknownName(
            f'{len(found)} runs begin with "{name}"' if found else f'no run "{name}"',
            where=self._place.where,
            fix=nearest(name, [summary.run for summary in (found or summaries)[:10]]),
        )

    # --- prove

    def verify(self) -> Verification:
        """Look at every entry, every checkpoint and the witness file; what is wrong is named, not raised."""
        seen: SignedCheckpoint | StoreError | None
        try:
            seen = witness.read(self._place.head)
        except StoreError as error:
            seen = error
        try:
            with self._place.reading() as connection:
                return verification.examine(self._everything(connection, seen), self.identity.key)
        except TamperError as error:
            broken = Problem(kind="damaged", index=None, message=error.what)
            return Verification(ok=False, size=0, root="", key=self.identity.key.id, checkpoints=0, problems=(broken,))

    def _everything(self, connection: Connection, seen: SignedCheckpoint | StoreError | None) -> verification.Log:
        rows = select(*(schema.entries.c[name] for name in verification.Row._fields)).order_by(schema.entries.c.idx)
        found = connection.execute(rows, execution_options={"yield_per": log.PAGE})
        signed = select(schema.checkpoints.c.size, schema.checkpoints.c.data).order_by(schema.checkpoints.c.size)
        listed = select(schema.runs.c.run, schema.runs.c.first)
        return verification.Log(
            origin=schema.origin_of(connection, self._place.where) or "",
            rows=map(verification.Row._make, found),
            checkpoints=[(row.size, row.data) for row in connection.execute(signed)],
            runs=[(row.run, row.first) for row in connection.execute(listed)],
            seen=seen,
        )

    def prove_inclusion(self, index: int) -> InclusionProof:
        """Prove that an entry is in the log as it is signed now; raises UsageError where there is no such entry."""
        with self._snapshot() as (connection, known):
            found = log.bytes_at(connection, known, index, self._place.where)
        if found is None:
            raise UsageError(
                f"there is no entry {index}", where=self._place.where, fix=f"the log has {known.tree.size}, from 0 on"
            )
        path = tuple(step.hex() for step in known.tree.inclusion(index))
        return InclusionProof(index=index, data=found.decode(), path=path, checkpoint=known.head)

    def prove_consistency(self, old_size: int) -> ConsistencyProof:
        """Prove that the log at an earlier checkpoint is a prefix of the log now.

        Raises UsageError where no checkpoint was made at `old_size`, or where it is 0: every log goes on from nothing.
        """
        with self._snapshot() as (connection, known):
            data = log.checkpoint_at(connection, old_size)
            sizes = connection.scalars(select(schema.checkpoints.c.size).where(schema.checkpoints.c.size > 0)).all()
        if data is None or old_size < 1:
            near = sorted(sorted(sizes, key=lambda size: abs(size - old_size))[:5])
            raise UsageError(
                f"no checkpoint was made at {old_size} entries",
                where=self._place.where,
                fix=f"the nearest were made at {', '.join(map(str, near))}" if near else "append something first",
            )
        path = tuple(step.hex() for step in known.tree.consistency(old_size))
        return ConsistencyProof(old=checkpoints.read(data), path=path, checkpoint=known.head)


def _summary(header: RunHeader, index: int, last: LogEntry, counts: tuple[Count, ...]) -> RunSummary:
    finished = isinstance(last, RunFinished)
    return RunSummary(
        run=header.run,
        project=header.project,
        command=header.command,
        started=header.started,
        version=header.version,
        first=index,
        counts=counts,
        status=last.status if isinstance(last, RunFinished) else "",
        finished=finished,
    )
