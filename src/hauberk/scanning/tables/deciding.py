"""What to do with each row of a data set that is to be repaired, and why: decisions only, nothing is written here."""

from __future__ import annotations

from collections import Counter
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import polars as pl

from hauberk.core.project import ColumnSection
from hauberk.core.tables import Stream, Wishes
from hauberk.scanning.tables.comparing import compared
from hauberk.scanning.tables.engine import SAMPLE, Plan
from hauberk.scanning.tables.expectations import Expectations
from hauberk.scanning.tables.facts import Expectation, TableFacts
from hauberk.scanning.tables.keys import RowKeys
from hauberk.scanning.tables.profile import Profile, plainly
from hauberk.scanning.tables.sampling import Sampler
from hauberk.scanning.tables.typing import Typer

Action: TypeAlias = Literal["dropped", "deduplicated", "relabelled", "imputed"]
_ALL = 1 << 62
_TRUST = 0.3
"""Share of a guess's errors that the source of probabilities must mend before it changes or drops a label."""
JUDGED = 50_000
"""Rows whose labels are judged; of a longer table a fair sample of so many."""


class Decision(NamedTuple):
    """What to do with one row. cells: column → new value, of rows that stay."""

    action: Action
    reason: str
    cells: dict[str, str]


class Decisions(NamedTuple):
    """rows: id → decision; what is not named stays as it is. total: rows read. reasons: how often each."""

    rows: dict[int, Decision]
    total: int
    reasons: tuple[tuple[str, int], ...]


def decide(stream: Stream, plan: Plan, wishes: Wishes) -> Decisions:
    """Read a data set once and decide; the first reason to drop a row is the one that is told."""
    deciding = _Deciding(stream, plan, wishes)
    for batch in stream.batches():
        frame = deciding.typer.typed(batch.frame)
        deciding.add(batch.first, batch.frame, frame)
        deciding.keys.add(batch)
        deciding.sampler.add(batch, frame)
    return deciding.end()


class _Deciding:
    def __init__(self, stream: Stream, plan: Plan, wishes: Wishes) -> None:
        self._plan, self._wishes, self._stream = plan, wishes, stream
        self.label = wishes.label or plan.label or stream.label
        kinds = {name: section.kind for name, section in plan.columns.items()}
        numeric = tuple(name for name, kind in kinds.items() if kind in ("integer", "continuous"))
        self.typer = Typer(stream.typed, numeric, tuple(n for n, kind in kinds.items() if kind == "categorical"))
        self._expectations = Expectations(plan.columns, plan.relations, self.label, plan.classes, most=_ALL)
        unique = tuple(name for name, section in plan.columns.items() if section.unique)
        self.keys, self._profile = RowKeys(self.label, "", unique), Profile()
        self.sampler = Sampler(max(JUDGED, SAMPLE))
        self._gaps: dict[str, list[int]] = {}
        self._words: dict[str, list[int]] = {}
        self._rows = 0

    def add(self, first: int, raw: pl.DataFrame, frame: pl.DataFrame) -> None:
        """Note expectations, gaps and words of a batch."""
        self._expectations.add(frame, first)
        words = self.typer.words(raw, frame)
        self._profile.add(frame, first, words)
        for name in frame.columns:
            mask = frame[name].is_null() & ~words[name] if name in words else frame[name].is_null()
            self._gaps.setdefault(name, []).extend((mask.arg_true() + first).to_list())
            if name in words:
                self._words.setdefault(name, []).extend((words[name].arg_true() + first).to_list())
        self._rows += len(frame)

    def end(self) -> Decisions:
        """Put the reasons together."""
        rows: dict[int, Decision] = {}
        if self._wishes.expectations:
            for found in self._expectations.result():
                _drop(rows, found.broken.first if _droppable(found) else (), f"{found.column} breaks: {found.declared}")
        columns = self._profile.result()
        names = {column.name for column in columns}
        if self.label in names:
            _drop(rows, self._gaps.get(self.label, ()), "it has no label")
        for name, there in self._words.items():
            _drop(rows, () if self._wishes.impute else there, f"{name} holds a word where a number should be")
        again, conflicts = self.keys.repeated(self.label in names)
        for row, first in again.items() if self._wishes.duplicates else ():
            rows.setdefault(row, Decision("deduplicated", f"it repeats row {first}", {}))
        for row, first in conflicts.items() if self._wishes.conflicts else ():
            _drop(rows, (row,), f"it equals row {first} but for the label")
            _drop(rows, (first,), f"it equals row {row} but for the label")
        facts = TableFacts(
            path=self._stream.name, kind=self._stream.kind, rows=self._rows, label=self.label, columns=columns
        )
        if self._wishes.labels != "keep" and self.label in names:
            self._labels(rows, facts)
        if self._wishes.impute:
            self._impute(rows, facts)
        counts = Counter(_kind(decision) for decision in rows.values())
        return Decisions(rows, self._rows, tuple(counts.most_common()))

    def _labels(self, rows: dict[int, Decision], facts: TableFacts) -> None:
        found = compared(
            facts, self.sampler.result(), self.keys.identifiers, np.random.default_rng(self._plan.seed)
        ).suspects
        if found is None or found.majority >= 1 or (found.trust - found.majority) / (1 - found.majority) < _TRUST:
            return
        for row, given, best in found.suggested:
            reason = f"its label is probably wrong: likelier {best!r} than {given!r}, by {found.source}"
            if self._wishes.labels == "relabel":
                rows.setdefault(row, Decision("relabelled", reason, {self.label: best}))
            else:
                _drop(rows, (row,), reason)

    def _impute(self, rows: dict[int, Decision], facts: TableFacts) -> None:
        sample = self.sampler.result().frame
        for column in facts.columns:
            there = [*self._gaps.get(column.name, ()), *self._words.get(column.name, ())]
            known = column.kind in ("number", "text", "boolean") and column.name in sample.columns
            if not there or column.name == self.label or not column.present or not known:
                continue
            value, by = _usual(sample[column.name], self._plan.columns.get(column.name, ColumnSection()))
            for row in there if value is not None else ():
                before = rows.get(row)
                if before is None or before.cells:
                    cells = {**(before.cells if before else {}), column.name: value or ""}
                    reason = f"{column.name} was missing: {by}"
                    action: Action = "imputed" if before is None else before.action
                    rows[row] = Decision(action, f"{before.reason}; {reason}" if before else reason, cells)


def _droppable(found: Expectation) -> bool:
    """Too many gaps, or a wrong order, are no fault of single rows."""
    return found.check not in ("missing", "ordered")


def _drop(rows: dict[int, Decision], which: tuple[int, ...] | list[int], reason: str) -> None:
    for row in which:
        if row not in rows or rows[row].action in ("relabelled", "imputed"):
            rows[row] = Decision("dropped", reason, {})


def _usual(values: pl.Series, section: ColumnSection) -> tuple[str | None, str]:
    """Return what a gap is filled with: the median of numbers, rounded for counts; the most frequent of others."""
    there = values.drop_nulls()
    if not len(there):
        return None, ""
    if there.dtype.is_numeric():
        middle = float(there.cast(pl.Float64).median())  # type: ignore[arg-type]
        whole = section.kind in ("integer", "boolean") or bool((there == there.round()).all())
        return plainly(float(round(middle)) if whole else middle), "the median was put there"
    return str(there.mode().sort()[0]), "the most frequent value was put there"


def _kind(decision: Decision) -> str:
    """Group reasons: what is of one row is left out."""
    reason = decision.reason
    for start in ("it repeats row", "it equals row", "its label is probably wrong"):
        if reason.startswith(start):
            reason = {"it repeats row": "repeats an earlier row", "it equals row": "conflicting labels"}.get(
                start, "label probably wrong"
            )
    return f"{decision.action}: {reason.partition(';')[0]}"
