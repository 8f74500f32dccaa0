"""What rows of a sample say of each other: classes, suspects, outliers, near duplicates, leaks, order."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl

from hauberk.scanning.tables.facts import Order, Repeats, TableFacts
from hauberk.scanning.tables.features import points
from hauberk.scanning.tables.images import COLUMNS as PICTURE
from hauberk.scanning.tables.labels import CLASSES, suspects
from hauberk.scanning.tables.leakage import leaks
from hauberk.scanning.tables.near import near_points, near_texts
from hauberk.scanning.tables.neighbours import Neighbours, nearest_rows
from hauberk.scanning.tables.order import drifting, runs
from hauberk.scanning.tables.outliers import outlying
from hauberk.scanning.tables.probabilities import NEIGHBOURS
from hauberk.scanning.tables.sampling import Sample

_LEAK = 0.95
"""Power of a column from which it gives the label away; strong honest features stay below."""
_SPLITS = ("split", "partition", "subset", "fold")
_TEXT = 40
"""Characters of the longest text from which a column is compared by its words."""


def compared(facts: TableFacts, sample: Sample, identifiers: tuple[str, ...], rng: np.random.Generator) -> TableFacts:
    """Add to the facts what comparing the sample's rows gives."""
    picture = PICTURE if facts.kind in ("images", "arrays", "bundled") and sample.vectors is not None else ()
    leave_out = (facts.label, *identifiers, *picture, *(c.name for c in facts.columns if c.name.lower() in _SPLITS))
    x = points(sample, facts.columns, leave_out, rng)
    near = nearest_rows(x, NEIGHBOURS if x.shape[1] else 0)
    changes: dict[str, object] = {
        "near": _near(facts, sample, near),
        "outlying": outlying(x, near.distance, sample.ids),
    }
    coded = _codes(facts, sample.frame)
    if coded is not None:
        y, names = coded
        there = y >= 0
        changes["classes"] = _classes(facts, y, names)
        changes["order"] = _order(facts, sample, y)
        if there.sum() >= 20 and len(names) > 1:
            own = near if there.all() else nearest_rows(x[there], NEIGHBOURS)
            changes["suspects"] = suspects(x[there], y[there], names, sample.ids[there], own, rng)
            # the label's own column and what names rows are no leaks; everything else that tells all is one
            frame = sample.frame.filter(pl.Series(there))
            changes["leaks"] = leaks(frame, y[there], len(names), facts.columns, leave_out, _LEAK)
    return msgspec.structs.replace(facts, **changes)


def _codes(facts: TableFacts, frame: pl.DataFrame) -> tuple[np.ndarray, tuple[str, ...]] | None:
    """Number the labels, −1 where there is none; None where the label is no class."""
    column = facts.column(facts.label)
    if column is None or column.distinct < 1 or column.distinct > CLASSES:
        return None
    if column.kind == "number" and not column.whole:
        return None
    texts = _text(frame[facts.label])
    names = tuple(sorted(texts.drop_nulls().unique().to_list(), key=_natural))
    place = {name: index for index, name in enumerate(names)}
    return np.array([-1 if text is None else place[text] for text in texts.to_list()], dtype=np.int64), names


def _text(values: pl.Series) -> pl.Series:
    """Write labels as categories are written: 3.0 is 3."""
    return (values.cast(pl.Int64) if values.dtype.is_float() else values).cast(pl.String, strict=False)


def _natural(name: str) -> tuple[bool, float, str]:
    try:
        return (False, float(name), name)
    except ValueError:
        return (True, 0.0, name)


def _classes(facts: TableFacts, y: np.ndarray, names: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """Count the classes: over all rows where the pass counted them, else over the sample."""
    column = facts.column(facts.label)
    if column is not None and column.common:
        return column.common
    counts = np.bincount(y[y >= 0], minlength=len(names))
    return tuple((names[k], int(counts[k])) for k in np.argsort(-counts, kind="stable"))


def _near(facts: TableFacts, sample: Sample, near: Neighbours) -> Repeats | None:
    if sample.vectors is not None:
        if not near.places.shape[1]:
            return None
        equal = near.distance[:, 0] <= 1e-5 * (1 + float(np.median(near.distance[:, 0])))
        return near_points(near.places[~equal, 0], near.distance[~equal, 0], sample.ids, np.flatnonzero(~equal))
    long = [
        c.name for c in facts.columns if c.kind == "text" and (c.longest or 0) >= _TEXT and c.distinct > 0.2 * c.rows
    ]
    long = [name for name in long if sample.frame.schema.get(name) == pl.String]
    return near_texts(sample.frame[long[0]].to_list(), sample.ids) if long else None


def _order(facts: TableFacts, sample: Sample, y: np.ndarray) -> tuple[Order, ...]:
    there = y >= 0
    found = [runs(y[there], sample.ids[there], facts.label)]
    for column in facts.columns:
        if column.name in PICTURE or column.name not in sample.frame.columns:
            continue
        if column.kind == "number" and not column.rising and column.distinct > 20:
            values = sample.frame[column.name].cast(pl.Float64).to_numpy()
            found.append(drifting(values.astype(np.float64), sample.ids, column.name))
    return tuple(one for one in found if one is not None and one.p < 1e-6 and one.statistic > 0.2)
