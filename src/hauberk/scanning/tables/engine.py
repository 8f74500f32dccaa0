"""The one pass over a data set: every part sees each batch once, then a fair sample is compared with itself."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from hauberk.core.evidence import Digest
from hauberk.core.progress import Silent
from hauberk.core.project import ColumnSection
from hauberk.core.protocols import Progress
from hauberk.core.relations import Relation
from hauberk.core.tables import Batch, Fault, Personal, Stream
from hauberk.scanning.tables.blocks import Blocks
from hauberk.scanning.tables.comparing import compared
from hauberk.scanning.tables.expectations import Expectations
from hauberk.scanning.tables.facts import TableFacts
from hauberk.scanning.tables.images import PictureNumbers
from hauberk.scanning.tables.keys import RowKeys
from hauberk.scanning.tables.profile import Profile
from hauberk.scanning.tables.sampling import Sample, Sampler
from hauberk.scanning.tables.texts import Texts
from hauberk.scanning.tables.typing import Typer

SAMPLE = 10_000
"""Rows that are compared with each other: some seconds' work, since it grows with the square."""
COLUMNS = 2000
"""Columns that are looked at one by one."""
_SPLITS = ("split", "partition", "subset", "fold")
_SILENT = Silent()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a data set is held against. sample: rows that are compared with each other; 0 for none.

    columns, relations, classes: as [data] declares them. label: the label column. texts: whether columns of text are
    looked through. root: whether blocks of rows are hashed. compare: whether the sample's rows are compared.
    """

    columns: dict[str, ColumnSection] = {}
    relations: tuple[Relation, ...] = ()
    label: str = ""
    classes: tuple[str, ...] = ()
    sample: int = SAMPLE
    seed: int = 0
    texts: bool = True
    root: bool = True
    compare: bool = True


class Examined(NamedTuple):
    """What the pass gave. keys: of rows without their label, and the rows; for comparing with another data set."""

    facts: TableFacts
    sample: Sample
    digests: tuple[Digest, ...]
    keys: tuple[np.ndarray, np.ndarray]


_PLAN = Plan()


def examine(
    stream: Stream, plan: Plan = _PLAN, *, personal: Personal | None = None, progress: Progress = _SILENT
) -> Examined:
    """Read a data set once and state what it holds; raises ProjectError for a pattern that cannot be used."""
    passing = _Passing(stream, plan, personal)
    with progress.step(f"data {stream.name}", None, "rows") as step:
        for batch in stream.batches():
            passing.take(batch)
            step.advance(len(batch.frame))
    return passing.end()


def expectations_only(stream: Stream, plan: Plan) -> Expectations:
    """Hold a data set against its declared expectations and do nothing else."""
    found = Expectations(plan.columns, plan.relations, plan.label, plan.classes)
    typer = _typer(stream, plan)
    for batch in stream.batches():
        found.add(batch.frame if stream.typed else typer.typed(batch.frame), batch.first)
    return found


def _typer(stream: Stream, plan: Plan) -> Typer:
    kinds = {name: section.kind for name, section in plan.columns.items()}
    numeric = tuple(name for name, kind in kinds.items() if kind in ("integer", "continuous"))
    return Typer(stream.typed, numeric, tuple(name for name, kind in kinds.items() if kind == "categorical"))


class _Passing:
    """The parts of the audit during the pass."""

    def __init__(self, stream: Stream, plan: Plan, personal: Personal | None) -> None:
        self._stream, self._plan = stream, plan
        self.label = plan.label or stream.label
        self._typer = _typer(stream, plan)
        self._expectations = Expectations(plan.columns, plan.relations, self.label, plan.classes)
        self._profile, self._pictures = Profile(), PictureNumbers()
        self._texts = Texts(personal) if plan.texts else None
        self._blocks = Blocks() if plan.root else None
        self._sampler = Sampler(max(plan.sample, 1))
        self._keys: RowKeys | None = None
        self._rows = 0
        self._names: dict[str, None] = {}
        self._wide = 0

    def take(self, batch: Batch) -> None:
        """See one batch."""
        if batch.frame.width > COLUMNS:
            self._wide = max(self._wide, batch.frame.width)
            kept = batch.frame.columns[:COLUMNS]
            batch = batch._replace(
                frame=batch.frame.select(kept + [n for n in [self.label] if n in batch.frame.columns[COLUMNS:]])
            )
        frame = self._typer.typed(batch.frame)
        self._names |= dict.fromkeys(frame.columns)
        self._rows += len(frame)
        if self._blocks is not None:
            self._blocks.add(batch)
        self._expectations.add(frame, batch.first)
        self._profile.add(frame, batch.first, self._typer.words(batch.frame, frame))
        self._pictures.add(frame, batch.first)
        if self._texts is not None:
            self._texts.add(batch.frame, batch.first, ("file",) if self._stream.kind == "images" else ())
        if self._keys is None:
            unique = tuple(name for name, section in self._plan.columns.items() if section.unique)
            split = next((name for name in frame.columns if name.lower() in _SPLITS), "")
            self._keys = RowKeys(self.label, split, unique)
        self._keys.add(batch)
        if self._plan.sample:
            self._sampler.add(batch, frame)

    def end(self) -> Examined:
        """State the facts."""
        columns = self._profile.result()
        labelled = self.label in self._names
        found = self._keys.result(labelled) if self._keys else None
        sample = self._sampler.result()
        digests = self._stream.digests()
        facts = TableFacts(
            path=self._stream.name,
            kind=self._stream.kind,
            rows=self._rows,
            label=self.label if labelled else "",
            sample=len(sample.ids),
            root=self._blocks.root() if self._blocks is not None else "",
            columns=columns,
            expectations=self._expectations.result(),
            absent=tuple(name for name in self._wanted() if name not in self._names) if self._rows else (),
            undeclared=tuple(name for name in self._names if name not in self._plan.columns and name != self.label),
            faults=(*self._stream.faults(), *self._cut()),
            repeats=found.repeats if found else None,
            conflicts=found.conflicts if found else None,
            overlaps=found.overlaps if found else (),
            pictures=self._pictures.result(),
            sayings=self._texts.result() if self._texts is not None else (),
        )
        left_out = self._keys.identifiers if self._keys else ()
        if self._plan.sample and self._plan.compare and len(sample.ids):
            facts = compared(facts, sample, left_out, np.random.default_rng(self._plan.seed))
        keys = self._keys.keys() if self._keys else (np.zeros(0, np.uint64), np.zeros(0, np.int64))
        return Examined(facts, sample, digests, keys)

    def _wanted(self) -> list[str]:
        """Name the columns that are declared, and the label that was asked for."""
        declared = [name for name, section in self._plan.columns.items() if not section.ignore]
        return declared + [name for name in [self._plan.label] if name and name not in declared]

    def _cut(self) -> tuple[Fault, ...]:
        if not self._wide:
            return ()
        message = f"it has {self._wide} columns; the first {COLUMNS} were looked at"
        return (Fault(kind="limit", message=message),)
