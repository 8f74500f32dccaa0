"""Look at every entry, every checkpoint and the witness file of a log, and name all that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from hauberk.core.encoding import canonical
from hauberk.core.errors import StoreError
from hauberk.crypto import checkpoints, merkle
from hauberk.crypto.checkpoints import SignedCheckpoint
from hauberk.crypto.signatures import VerifyingKey
from hauberk.stores import witness
from hauberk.stores.records import (
    Leaf,
    Problem,
    ProblemKind,
    RunHeader,
    Verification,
    decode_leaf,
    kind_of,
    step_of,
)

MOST_PROBLEMS = 100
"""So many are named; a log with more is hardly a log any more."""


class Row(NamedTuple):
    """One row of the entries table."""

    idx: int
    run: str
    kind: str
    step: str | None
    data: bytes
    leaf: bytes


class Log(NamedTuple):
    """What a database holds, in the order of index and size, and what the witness file says (or why it cannot)."""

    origin: str
    rows: Iterable[Row]
    checkpoints: Sequence[tuple[int, bytes]]
    runs: Iterable[tuple[str, int]]
    seen: SignedCheckpoint | StoreError | None


def examine(log: Log, key: VerifyingKey) -> Verification:
    """Verify a log against a public key."""
    return _Examination(log, key).verdict()


class _Examination:
    """The state of one look at a log."""

    def __init__(self, log: Log, key: VerifyingKey) -> None:
        self._log, self._key = log, key
        self._problems: list[Problem] = []
        self._signed: dict[int, SignedCheckpoint] = {}
        self._headers: dict[str, int] = {}
        self._frontier = merkle.Frontier()
        self._next = 0
        self._sound = 0
        self._broken = False

    def verdict(self) -> Verification:
        self._checkpoints()
        for row in self._log.rows:
            self._entry(row)
        self._end()
        self._runs()
        self._witness()
        return Verification(
            ok=not self._problems,
            size=self._frontier.size,
            root=self._frontier.root().hex(),
            key=self._key.id,
            checkpoints=len(self._log.checkpoints),
            problems=tuple(self._named()),
        )

    def _named(self) -> Iterator[Problem]:
        yield from self._problems[:MOST_PROBLEMS]
        if len(self._problems) > MOST_PROBLEMS:
            yield Problem(kind="damaged", index=None, message=f"{len(self._problems) - MOST_PROBLEMS} more problems")

    def _note(self, kind: ProblemKind, index: int | None, message: str) -> None:
        self._problems.append(Problem(kind=kind, index=index, message=message))

    # --- checkpoints

    def _checkpoints(self) -> None:
        previous: str | None = ""
        for size, data in self._log.checkpoints:
            checkpoint = self._decoded(size, data)
            if checkpoint is None:
                previous = None
                continue
            if previous is not None and checkpoint.previous != previous:
                self._note("chain", size, f"a checkpoint before the one at {size} entries is missing or exchanged")
            previous = checkpoints.digest(checkpoint)
            self._signed[size] = checkpoint
        if not self._signed:
            self._note("chain", None, "the log has no checkpoint")

    def _decoded(self, size: int, data: bytes) -> SignedCheckpoint | None:
        """Read a checkpoint and see that it is this log's, by its key, and the very bytes that were kept."""
        try:
            checkpoint = checkpoints.read(data)
        except msgspec.DecodeError as error:
            self._note("signature", size, f"the checkpoint at {size} entries cannot be read: {error}")
            return None
        if checkpoint.key != self._key.id:
            self._note(
                "signature", size, f"the checkpoint at {size} entries is signed by another key, {checkpoint.key}"
            )
        elif not checkpoints.is_signed_by(checkpoint, self._key):
            self._note("signature", size, f"the signature of the checkpoint at {size} entries is wrong")
        elif checkpoint.size != size or canonical(checkpoint) != data:
            self._note("chain", size, f"the checkpoint kept for {size} entries was made for {checkpoint.size}")
        elif checkpoint.origin != self._log.origin:
            self._note("origin", size, f"the checkpoint at {size} entries is of another log, {checkpoint.origin}")
        return checkpoint

    # --- entries

    def _entry(self, row: Row) -> None:
        if row.idx < self._next:
            self._note("misplaced", row.idx, f"an entry stands at {row.idx}, where none can")
            return
        if row.idx > self._next:
            until = "" if row.idx == self._next + 1 else f" to {row.idx - 1}"
            self._note("missing", self._next, f"entry {self._next}{until} is missing")
        if merkle.leaf_hash(row.data) != row.leaf:
            self._note("changed", row.idx, f"entry {row.idx} was changed: its bytes do not give its hash")
        leaf = self._leaf(row)
        if leaf is not None:
            self._place(row, leaf)
        self._frontier.push(merkle.leaf_hash(row.data))
        self._next = row.idx + 1
        self._root()

    def _leaf(self, row: Row) -> Leaf | None:
        try:
            return decode_leaf(row.data)
        except msgspec.DecodeError as error:
            self._note("unreadable", row.idx, f"entry {row.idx} cannot be read: {error}")
            return None

    def _place(self, row: Row, leaf: Leaf) -> None:
        """See that a leaf stands where it was put and that the columns say what it says."""
        if leaf.index != row.idx:
            self._note("misplaced", row.idx, f"entry {row.idx} is what was kept as entry {leaf.index}")
        elif (row.run, row.kind, row.step) != (leaf.run, kind_of(leaf.entry), step_of(leaf.entry)):
            self._note("changed", row.idx, f"entry {row.idx} is listed under a run, kind or step that it does not have")
        if isinstance(leaf.entry, RunHeader):
            self._headers.setdefault(leaf.run, row.idx)

    def _root(self) -> None:
        """Hold the root against the checkpoint at this size; only the first that differs says where."""
        checkpoint = self._signed.get(self._next)
        if checkpoint is None or self._broken:
            return
        if self._frontier.size == self._next and self._frontier.root().hex() == checkpoint.root:
            self._sound = self._next
            return
        self._broken = True
        self._note(
            "root",
            self._next,
            f"entries {self._sound} to {self._next - 1} do not give the root that was signed on {checkpoint.time}",
        )

    def _end(self) -> None:
        """See that the last checkpoint covers all entries, and that all it covers are there."""
        covered = max(self._signed, default=0)
        empty = self._signed.get(0)
        if empty is not None and empty.root != merkle.EMPTY_ROOT.hex():
            self._note("root", 0, "the checkpoint of the empty log has the root of another")
        if self._next > covered:
            self._note(
                "unsigned", covered, f"entries {covered} to {self._next - 1} stand after the last signed checkpoint"
            )
        elif self._next < covered:
            self._note("truncated", self._next, f"entries {self._next} to {covered - 1} were signed and are missing")

    def _runs(self) -> None:
        """Hold the list of runs against their headers; what an attacker listed may be of any type."""
        listed, begun = set(self._log.runs), set(self._headers.items())
        for run, first in sorted(listed - begun, key=str):
            index = first if isinstance(first, int) else None
            self._note("run", index, f"run {run} is listed, but does not begin at {first}")
        for run, first in sorted(begun - listed):
            self._note("run", first, f"run {run} begins at {first} and is not listed so")

    def _witness(self) -> None:
        seen = self._log.seen
        if isinstance(seen, StoreError):
            self._note("witness", None, seen.what)
        elif seen is None:
            if self._next or any(self._signed):
                self._note("witness", None, "the witness file is missing: nothing shows that the log was not cut short")
        elif not checkpoints.is_signed_by(seen, self._key):
            self._note("witness", seen.size, "the witness file is not signed by this log's key")
        elif self._signed:
            kept = dict(self._log.checkpoints)
            found = witness.disagreement(seen, self._signed[max(self._signed)], kept.get)
            if found:
                self._note("behind" if found[0] == "behind" else "rewritten", seen.size, found[1])
