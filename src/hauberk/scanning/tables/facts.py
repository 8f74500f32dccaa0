"""What the audit states of a data set, without judgement: the ground between its one pass and the rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, Protocol, TypeAlias

import msgspec

from hauberk.core.card import Card
from hauberk.core.evidence import Confidence, Severity
from hauberk.core.tables import NO_ROWS, Fault, Rows

Kind: TypeAlias = Literal["number", "text", "boolean", "time", "other"]
Check: TypeAlias = Literal["range", "values", "pattern", "length", "unique", "missing", "ordered", "relation", "kind"]


class _Fact(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the facts: frozen, complete at birth."""


class Expectation(_Fact, frozen=True):
    """One declared expectation and the rows that break it. declared: in words, as hauberk.toml says it.

    of: rows it was held against. share: largest share of rows that may break it (0 but for "missing").
    estimated: the count was estimated from a fair share of the values.
    """

    check: Check
    column: str
    declared: str
    broken: Rows
    of: int
    share: float = 0.0
    estimated: bool = False

    @property
    def holds(self) -> bool:
        """Say whether few enough rows break it."""
        return self.broken.count <= self.share * self.of


class ColumnFacts(_Fact, frozen=True):
    """One column over all rows.

    missing: no value, NaN included, once. blank: stand-ins for a missing value ("NA", "?", blanks) in a column of text.
    words: texts in a column of numbers. infinite: numbers that are none. distinct: different values, exact up to
    `exact` of them, else estimated. low, high, mean, deviation: of numbers. longest: characters of texts.
    whole: every number is an integer. rising: values never fall from row to row.
    common: (value, rows) of a column of few values, most frequent first.
    """

    name: str
    kind: Kind
    rows: int
    missing: Rows = NO_ROWS
    blank: Rows = NO_ROWS
    words: Rows = NO_ROWS
    infinite: Rows = NO_ROWS
    distinct: int = 0
    exact: bool = True
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    deviation: float | None = None
    longest: int | None = None
    whole: bool = False
    rising: bool = False
    common: tuple[tuple[str, int], ...] = ()

    @property
    def present(self) -> int:
        """Rows with a value."""
        return self.rows - self.missing.count


class Repeats(_Fact, frozen=True):
    """Rows that repeat an earlier one. groups: (first row, repeats …) of the first groups. known: of how many rows."""

    rows: Rows = NO_ROWS
    groups: tuple[tuple[int, ...], ...] = ()
    known: int = 0
    sampled: bool = False


class Suspects(_Fact, frozen=True):
    """Rows whose label its neighbours contradict. trust: held-out accuracy of the source of probabilities.

    review: every row the source gives another label; likely: those confident learning calls an error.
    suggested: (row, given, suggested) of the likeliest. of: rows looked at.
    """

    source: str
    trust: float
    majority: float
    review: Rows
    likely: Rows
    suggested: tuple[tuple[int, str, str], ...]
    of: int


class Outlying(_Fact, frozen=True):
    """Rows far from all others. by: how that was measured. of: rows looked at."""

    by: str
    rows: Rows
    of: int


class Leak(_Fact, frozen=True):
    """A column that gives the label away. power: how well it alone tells the label (0 to 1), above the majority's."""

    column: str
    power: float
    of: int
    by: str


class Overlap(_Fact, frozen=True):
    """Rows of one part of the data that stand in another part too. near: found as near duplicates."""

    part: str
    other: str
    rows: Rows
    of: int
    near: bool = False


class Order(_Fact, frozen=True):
    """How the order of rows hangs together with a column: statistic in [0, 1], and how likely by chance."""

    column: str
    statistic: float
    p: float
    of: int


class Pictures(_Fact, frozen=True):
    """Pictures of one odd kind: "dark", "light", "blurry", "flat", "odd_size", "odd_shape"."""

    kind: str
    rows: Rows
    of: int


class Shift(_Fact, frozen=True):
    """How one column, or all together (column ""), differs between two versions.

    test: "ks", "chi2" or "classifier". p: of the test, adjusted for the number of columns (Benjamini-Hochberg) in q.
    psi: population stability index; js: Jensen-Shannon distance (base 2); wasserstein: in deviations of the earlier.
    """

    column: str
    test: str
    statistic: float
    p: float
    q: float
    psi: float = 0.0
    js: float = 0.0
    wasserstein: float = 0.0
    before: int = 0
    now: int = 0


class Saying(_Fact, frozen=True):
    """Something that stands in texts of a column. kind: "secret:NAME", "hidden:WHAT", "personal:KIND"."""

    column: str
    kind: str
    rows: Rows
    certain: bool = True


class TableFacts(_Fact, frozen=True):
    """A data set as a whole. path: as evidence names it. root: Merkle root over blocks of rows. sample: rows that what
    compares rows with each other looked at (all where it is `rows`)."""

    path: str
    kind: str
    rows: int
    label: str = ""
    sample: int = 0
    root: str = ""
    columns: tuple[ColumnFacts, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    undeclared: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    repeats: Repeats | None = None
    near: Repeats | None = None
    conflicts: Repeats | None = None
    classes: tuple[tuple[str, int], ...] = ()
    suspects: Suspects | None = None
    outlying: tuple[Outlying, ...] = ()
    leaks: tuple[Leak, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    order: tuple[Order, ...] = ()
    pictures: tuple[Pictures, ...] = ()
    shifts: tuple[Shift, ...] = ()
    sayings: tuple[Saying, ...] = ()

    def column(self, name: str) -> ColumnFacts | None:
        """Return a column's facts."""
        return next((column for column in self.columns if column.name == name), None)


class DataDraft(_Fact, frozen=True):
    """A finding as a rule words it; evidence names rows, never values. column: empty for the whole."""

    message: str
    fix: str
    column: str = ""
    rows: Rows = NO_ROWS
    severity: Severity | None = None
    confidence: Confidence = "high"
    trace: tuple[str, ...] = ()


class DataRule(Protocol):
    """Reads the facts of a data set and yields what is wrong. Its card's `reads` begin with "table."."""

    card: ClassVar[Card]

    def check(self, table: TableFacts) -> Iterator[DataDraft]:
        """Yield drafts; pure."""
        ...
