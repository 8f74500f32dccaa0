"""A data set in memory whose every value was looked at: what cannot be used is refused with its row and remedy."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from hauberk.core.errors import DataError
from hauberk.core.protocols import Split
from hauberk.core.schema import AXES, DatasetSpec, Layout, Schema
from hauberk.datasets.splitting import split_rows

if TYPE_CHECKING:
    from hauberk.core.protocols import Floats, Labels

IMBALANCE = 10
"""A ratio of the largest to the smallest class from which accuracy alone misleads, and a report says so."""


@dataclass(frozen=True, slots=True)
class InMemory:
    """Checked arrays and their record."""

    spec: DatasetSpec
    train: Split
    test: Split


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What a source says of its data before it is checked.

    bounds: declared ones that every value must lie in; None to read them from the data.
    """

    name: str
    layout: Layout
    classes: tuple[str, ...]
    bounds: tuple[float, float] | None = None
    schema: Schema | None = None
    notes: tuple[str, ...] = ()


def whole(draft: Draft, split: Split, share: float, seed: int) -> InMemory:
    """Check a set and hold out `share` of it as test rows, class by class, alike for the same seed."""
    _check(draft, split, "")
    if not 0 < share <= 1:
        raise DataError(f"the share {share} of test rows is not in (0, 1]", where="data.test_share", fix="such as 0.3")
    train, test = split_rows(split.y, share, seed)
    if not len(test):
        raise DataError(f"{share:g} of {len(split.y)} rows is no row", where="data.test_share", fix="raise it")
    note = f"{share:.0%} of the rows are held out as test rows, class by class, with seed {seed}"
    draft = msgspec.structs.replace(draft, notes=(*draft.notes, note) if len(train) else draft.notes)
    return _made(draft, Split(split.x[train], split.y[train]), Split(split.x[test], split.y[test]))


def apart(draft: Draft, train: Split | None, test: Split) -> InMemory:
    """Check a set whose training rows come from a source of their own, or are not known."""
    _check(draft, test, "" if train is None else "test ")
    if train is None:
        train = Split(test.x[:0], test.y[:0])
    else:
        _check(draft, train, "train ")
        if train.x.shape[1:] != test.x.shape[1:]:
            raise DataError(
                f"training rows have shape {train.x.shape[1:]}, test rows {test.x.shape[1:]}",
                where=draft.name,
                fix="give both the same columns or image size",
            )
    return _made(draft, train, test)


def _made(draft: Draft, train: Split, test: Split) -> InMemory:
    y = np.concatenate((train.y, test.y))
    _classes(draft, y)
    low, high = draft.bounds or _range(draft.schema, train.x, test.x)
    spec = DatasetSpec(
        name=draft.name,
        layout=draft.layout,
        shape=test.x.shape[1:],
        classes=draft.classes,
        digest=_digest(draft.classes, train, test),
        bounds=(low, high),
        train=len(train.y),
        test=len(test.y),
        schema=draft.schema,
        notes=(*draft.notes, *_notes(draft, y, train, test)),
    )
    return InMemory(spec, train, test)


def _range(schema: Schema | None, *parts: Floats) -> tuple[float, float]:
    """Read the range of values and of what columns may become.

    All within 0–1 counts as 0–1, a constant set as one unit wide.
    """
    columns = schema.columns if schema else ()
    low = min(*(float(p.min()) for p in parts if p.size), *(c.low for c in columns if c.low is not None), np.inf)
    high = max(*(float(p.max()) for p in parts if p.size), *(c.high for c in columns if c.high is not None), -np.inf)
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, high if high > low else low + 1


def _check(draft: Draft, split: Split, part: str) -> None:
    x, y = split
    if len(x) == 0:
        raise DataError(f"has no {part}sample", where=draft.name, fix="name a source that holds rows")
    if len(x) != len(y):
        raise DataError(f"{len(x)} {part}inputs and {len(y)} labels", where=draft.name, fix="give each input one label")
    axes = AXES[draft.layout]
    if x.ndim != 1 + len(axes) or 0 in x.shape:
        want = f"(n, {', '.join(axes)})"
        raise DataError(f"{part}inputs have shape {x.shape}", where=draft.name, fix=f"give {want}")
    _values(draft, x, part)
    bad = (y < 0) | (y >= len(draft.classes))
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{part}row {row} has the label {y[row]}",
            where=draft.name,
            fix=f"labels are 0 to {len(draft.classes) - 1}; data.classes says how many there are",
        )


def _values(draft: Draft, x: Floats, part: str) -> None:
    bad = ~np.isfinite(x)
    if bad.any():
        place, value = _first(draft, bad, x, part)
        count = int(bad.reshape(len(x), -1).any(1).sum())
        raise DataError(
            f"{place} is {'NaN' if np.isnan(value) else 'infinite'} ({count} of {len(x)} rows)",
            where=draft.name,
            fix="fill or drop what is missing, as the model's own training did",
        )
    if draft.bounds is None:
        return
    low, high = draft.bounds
    bad = (x < low) | (x > high)
    if bad.any():
        place, value = _first(draft, bad, x, part)
        raise DataError(
            f"{place} is {value:g}, outside the declared bounds [{low:g}, {high:g}]",
            where=draft.name,
            fix="set model.bounds to the range of raw inputs, or divide them with data.scale",
        )


def _first(draft: Draft, bad: np.ndarray, x: Floats, part: str) -> tuple[str, float]:
    """Name the first bad value's place."""
    index = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), x.shape))
    if draft.schema is not None:
        column = f"column {draft.schema.columns[index[1]].name}"
    else:
        column = f"column {index[1]}" if len(index) == 2 else f"value {index[1:]}"
    return f"{part}row {index[0]}, {column}", float(x[index])


def _classes(draft: Draft, y: Labels) -> None:
    present = np.unique(y)
    if len(present) < 2:
        raise DataError(
            f'every row has the label "{draft.classes[int(present[0])]}"',
            where=draft.name,
            fix="a classifier needs rows of two classes or more: look at data.label",
        )


def _notes(draft: Draft, y: Labels, train: Split, test: Split) -> list[str]:
    counts = np.bincount(y, minlength=len(draft.classes))
    notes = []
    if (counts == 0).any():
        names = [draft.classes[i] for i in np.flatnonzero(counts == 0)]
        notes.append(f"no row of class {', '.join(names[:5])}{', …' if len(names) > 5 else ''}")
    most, least = counts.max(), counts[counts > 0].min()
    if most >= IMBALANCE * least:
        names = [draft.classes[int(np.flatnonzero(counts == count)[0])] for count in (most, least)]
        notes.append(f"classes are imbalanced: {most} rows of {names[0]}, {least} of {names[1]}; read accuracy with it")
    tested = np.unique(test.y)
    if len(tested) < 2:
        notes.append(f'all test rows are of class "{draft.classes[int(tested[0])]}"')
    twice = _shared(train.x, test.x)
    if twice:
        notes.append(
            f"{twice} of {len(test.y)} test rows are also training rows: accuracy flatters, membership is moot"
        )
    return notes


def _shared(train: Floats, test: Floats) -> int:
    """Count test rows that are training rows, byte for byte."""
    known = {row.tobytes() for row in train}
    return sum(row.tobytes() in known for row in test)


def _digest(classes: tuple[str, ...], *parts: Split) -> str:
    """Digest the content in one byte order: classes, then x and y of each split with their shapes."""
    state = hashlib.sha256("\x00".join(classes).encode())
    for part in parts:
        state.update(f";{part.x.shape};".encode())
        state.update(np.ascontiguousarray(part.x, dtype="<f4").tobytes())
        state.update(np.ascontiguousarray(part.y, dtype="<i8").tobytes())
    return f"sha256:{state.hexdigest()}"
