"""A data set as a stream of bounded batches: what readers give and the audit takes, so that neither knows the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from hauberk.core.evidence import Digest

if TYPE_CHECKING:
    import polars as pl

    from hauberk.core.protocols import Floats

FIRST = 20
"""Row ids that are named of each fault; the count says how many there are."""

FaultKind: TypeAlias = Literal["malformed", "truncated", "encoding", "ragged", "unreadable", "escape", "limit"]
"""malformed, truncated: reading ended there. encoding: bytes that are no UTF-8. ragged: a row of another width.
unreadable: one item that could not be decoded. escape: a name that leads out of its folder. limit: a safety bound."""


class Rows(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Some rows of a data set: how many, and the ids (0 is the first row of data) of the first of them."""

    count: int = 0
    first: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return self.count > 0


NO_ROWS = Rows()


class Batch(NamedTuple):
    """A bounded stretch of a data set, in reading order.

    first: the id of its first row. frame: one column a field; a source without types gives text.
    vectors: (n, d) float32, what each row looks like as a whole (the pixels of an image), where it is no table.
    """

    first: int
    frame: pl.DataFrame
    vectors: Floats | None = None


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What went wrong while a data set was read. rows: where, as far as it is known."""

    kind: FaultKind
    message: str
    rows: Rows = NO_ROWS


class Stream(Protocol):
    """A data set that is read once, front to back, in bounded batches.

    kind: such as "csv". label: the column that holds the label, where the source itself says so (a folder's name).
    typed: whether columns carry types; text columns of a source without them may be numbers.
    """

    @property
    def name(self) -> str:
        """What it is called in evidence: a POSIX path or an address without its password."""
        ...

    @property
    def kind(self) -> str:
        """The name of its reader."""
        ...

    @property
    def label(self) -> str:
        """The label column the source names itself, or empty."""
        ...

    @property
    def typed(self) -> bool:
        """Whether its columns carry types."""
        ...

    def batches(self) -> Iterator[Batch]:
        """Read on; what cannot be read becomes a fault, never an exception."""
        ...

    def faults(self) -> tuple[Fault, ...]:
        """What went wrong; whole once the batches are through."""
        ...

    def digests(self) -> tuple[Digest, ...]:
        """Digests of the bytes that were read ("blake3", "sha256"); whole once the batches are through."""
        ...

    def row_name(self, row: int) -> str:
        """Name a row for people: its number, or its file."""
        ...


class Sightings(NamedTuple):
    """What a visitor saw of one kind in one column: rows it stands in, and whether a checksum speaks for it."""

    kind: str
    rows: Rows
    certain: bool = False


class Personal(Protocol):
    """Looks for personal data in columns of text; never keeps or returns a value, only kinds, counts and row ids."""

    def visit(self, column: str, first: int, texts: Sequence[str | None]) -> None:
        """Look at one batch of a column; `first` is the id of its first row."""
        ...

    def seen(self) -> dict[str, tuple[Sightings, ...]]:
        """Return column → what was seen in it, most frequent first."""
        ...


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What a repair may do.

    label: the label column, instead of the project's. labels: what is done with labels that are probably wrong.
    impute: fill what is missing. duplicates, conflicts, expectations: drop rows that repeat, contradict, break them.
    """

    label: str = ""
    labels: Literal["drop", "relabel", "keep"] = "drop"
    impute: bool = False
    duplicates: bool = True
    conflicts: bool = True
    expectations: bool = True
