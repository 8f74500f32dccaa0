"""What the log holds beside evidence, and what is answered about it: leaves, runs, proofs, problems."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from hauberk.core.evidence import Checkpoint, Digest, Exhibit, Finding, Measurement, Skipped
from hauberk.crypto.checkpoints import SignedCheckpoint


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every record: frozen, hashable, unknown fields refused."""


class RunHeader(_Record, frozen=True, tag="run_begun"):
    """A run begins. started: RFC 3339, UTC. settings: canonical JSON of what it was asked to do."""

    run: str
    project: str
    command: str
    started: str
    version: str
    digests: tuple[Digest, ...] = ()
    settings: str = ""


class RunFinished(_Record, frozen=True, tag="run_finished"):
    """A run came to its end. status: its verdict, in a word. time: RFC 3339, UTC."""

    run: str
    status: str
    time: str


LogEntry: TypeAlias = Finding | Measurement | Skipped | Exhibit | Checkpoint | RunHeader | RunFinished


class Leaf(_Record, frozen=True):
    """What is hashed: an entry bound to its place in the log and to its run, so that neither can be changed."""

    entry: LogEntry
    index: int
    run: str


class Count(_Record, frozen=True):
    """How many entries of one kind ("finding", "measurement", …) a run has."""

    kind: str
    number: int


class RunSummary(_Record, frozen=True):
    """One run of the log. first: index of its header. status: what it finished with, empty while it has not."""

    run: str
    project: str
    command: str
    started: str
    version: str
    first: int
    counts: tuple[Count, ...]
    status: str = ""
    finished: bool = False


ProblemKind: TypeAlias = Literal[
    "changed", "missing", "misplaced", "unreadable", "unsigned", "truncated", "root", "signature", "chain", "origin",
    "behind", "rewritten", "witness", "run", "damaged",
]  # fmt: skip
"""changed: an entry's bytes, hash or columns are not what was kept. missing: an index has no entry. misplaced: an entry
of another place (reordered, or repeated). unreadable: the bytes are no entry. unsigned: entries no checkpoint covers.
truncated: a checkpoint covers more entries than there are. root: the entries do not give the root that was signed.
signature: a checkpoint is not signed by the log's key. chain: checkpoints are missing or exchanged. origin: a
checkpoint of another log. behind: the log is older than its witness file. rewritten: the log says otherwise than its
witness file. witness: the witness file is missing or cannot be read. run: the list of runs differs from the log.
damaged: the database itself is broken."""


class Problem(_Record, frozen=True):
    """One thing that is wrong. index: of the entry, or the size of the checkpoint; None for the whole log."""

    kind: ProblemKind
    index: int | None
    message: str


class Verification(_Record, frozen=True):
    """What became of looking at every entry, checkpoint and the witness file.

    ok: nothing is wrong. size, root: of the log as it stands, computed from the entries. key: id of the public key it
    was verified with; compare it with what you were told elsewhere. checkpoints: how many there are.
    """

    ok: bool
    size: int
    root: str
    key: str
    checkpoints: int
    problems: tuple[Problem, ...] = ()


class InclusionProof(_Record, frozen=True, tag="inclusion"):
    """Proof that an entry stands in the log at `index`. data: the leaf's canonical JSON, as hashed.

    path: of RFC 6962 §2.1.1, hexadecimal, from the leaf up.
    """

    index: int
    data: str
    path: tuple[str, ...]
    checkpoint: SignedCheckpoint


class ConsistencyProof(_Record, frozen=True, tag="consistency"):
    """Proof that the log of `old` is a prefix of the log of `checkpoint`: nothing was changed or taken away since.

    path: of RFC 6962 §2.1.2, hexadecimal.
    """

    old: SignedCheckpoint
    path: tuple[str, ...]
    checkpoint: SignedCheckpoint


def kind_of(entry: LogEntry) -> str:
    """Name an entry's kind, the tag it is kept under."""
    return str(type(entry).__struct_config__.tag)


def step_of(entry: LogEntry) -> str | None:
    """Name the piece of work a checkpoint of long work belongs to."""
    return entry.step if isinstance(entry, Checkpoint) else None


_LEAF = msgspec.json.Decoder(Leaf, strict=True)


def decode_leaf(data: bytes) -> Leaf:
    """Decode a leaf's canonical JSON, whoever wrote it; raises msgspec.DecodeError and nothing else."""
    try:
        return _LEAF.decode(data)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error
