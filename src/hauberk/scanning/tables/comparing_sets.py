"""Compare two data sets that were both examined: rows of one that stand in the other, and drift between versions."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl

from hauberk.scanning.tables.drift import shifts, told_apart
from hauberk.scanning.tables.engine import Examined
from hauberk.scanning.tables.facts import ColumnFacts, Shift, TableFacts
from hauberk.scanning.tables.features import points
from hauberk.scanning.tables.images import COLUMNS as PICTURE
from hauberk.scanning.tables.keys import overlap
from hauberk.scanning.tables.sampling import Sample

_ROWS = 4000
"""Rows of each side the domain classifier is fitted on."""
_STATED = ("light", "shade", "sharpness", "information", "width", "height")
"""What pictures are compared by."""


def against_train(test: Examined, train: Examined) -> Examined:
    """Add to the test rows' facts which of them stand among the training rows."""
    found = overlap(test.keys, train.keys, test.facts.path, train.facts.path)
    if found is None:
        return test
    return test._replace(facts=msgspec.structs.replace(test.facts, overlaps=(*test.facts.overlaps, found)))


def against_earlier(now: Examined, before: Examined, seed: int) -> Examined:
    """Add to the facts how columns, and all of them together, differ from an earlier version."""
    skip = set(PICTURE) - set(_STATED) if now.sample.vectors is not None else set()
    names = [name for name in before.sample.frame.columns if name not in skip and not _numbers_rows(before.facts, name)]
    found = list(shifts(before.sample.frame.select(names), now.sample.frame))
    together = _together(now, before, np.random.default_rng(seed))
    if together is not None:
        found.append(together)
    return now._replace(facts=msgspec.structs.replace(now.facts, shifts=tuple(found)))


def _numbers_rows(facts: TableFacts, name: str) -> bool:
    """Say whether a column numbers the rows: of a longer file it must differ."""
    column = facts.column(name)
    return (
        column is not None
        and column.kind == "number"
        and column.whole
        and column.rising
        and column.distinct > 0.9 * column.rows
    )


def _together(now: Examined, before: Examined, rng: np.random.Generator) -> Shift | None:
    """Tell old rows from new by all columns at once; both are made points in one go, so that they are alike."""
    a, b = _few(before.sample), _few(now.sample)
    if min(len(a.ids), len(b.ids)) < 50 or (a.vectors is None) != (b.vectors is None):
        return None
    if a.vectors is not None and b.vectors is not None and a.vectors.shape[1] != b.vectors.shape[1]:
        return None
    both = Sample(
        np.arange(len(a.ids) + len(b.ids)),
        pl.concat([a.frame, b.frame], how="diagonal_relaxed"),
        np.concatenate((a.vectors, b.vectors)) if a.vectors is not None and b.vectors is not None else None,
        whole=False,
    )
    columns = tuple(_merged(column, now.facts.column(column.name)) for column in before.facts.columns)
    leave_out = tuple(c.name for c in before.facts.columns if _numbers_rows(before.facts, c.name))
    x = points(both, columns, leave_out, rng)
    return told_apart(x[: len(a.ids)], x[len(a.ids) :], rng) if x.shape[1] else None


def _few(sample: Sample) -> Sample:
    """Take every k-th row of a sample, at most _ROWS of them."""
    step = max(1, -(-len(sample.ids) // _ROWS))
    vectors = sample.vectors[::step] if sample.vectors is not None else None
    return Sample(sample.ids[::step], sample.frame.gather_every(step), vectors, whole=False)


def _merged(before: ColumnFacts, now: ColumnFacts | None) -> ColumnFacts:
    """Join the values of a column of few, so that a category of one side only has its corner."""
    if now is None or not before.common:
        return before
    known = {value for value, _ in before.common}
    more = tuple(pair for pair in now.common if pair[0] not in known)
    return msgspec.structs.replace(before, common=(*before.common, *more), distinct=before.distinct + len(more))
