"""Tables: columns of any kind become numbers, and what each column is and may become is written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from hauberk.core.errors import DataError, nearest
from hauberk.core.project import ColumnSection, DataSection
from hauberk.core.protocols import Split
from hauberk.core.relations import TOLERANCE, Relation, relation
from hauberk.core.schema import Column, ColumnKind, Schema
from hauberk.datasets.checked import Draft, InMemory, apart, whole
from hauberk.datasets.labelling import index_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hauberk.core.protocols import Floats

_STRAY = 0.1
"""A share of words up to which a column is taken for numbers with gaps."""

_EXACT = 1 << 24
"""Whole numbers up to here are exact in float32."""


class Encoded(NamedTuple):
    """A column and its values as numbers, one array for each part of the table."""

    column: Column
    parts: list[Floats]


class Rows(NamedTuple):
    """Rows of numbers (n, d), one array for each part, and the columns' names."""

    xs: list[np.ndarray]
    names: tuple[str, ...]


class Described(NamedTuple):
    """Rows and what their columns are."""

    xs: list[Floats]
    schema: Schema


def from_frames(
    section: DataSection, name: str, bounds: tuple[float, float] | None, test: pl.DataFrame, train: pl.DataFrame | None
) -> InMemory:
    """Check a table: `section.label` becomes the label, every other column that is not ignored a feature.

    Categories, ranges and classes are read from all parts together. Raises DataError.
    """
    frames = [test] if train is None else [train, test]
    label = _label(section, name, frames)
    names = _features(section, name, label, frames)
    encoded = [_encoded(column, [f[column] for f in frames], section.columns.get(column), name) for column in names]
    labels = [_labels(frame[label], name) for frame in frames]
    labelled = index_labels(np.concatenate(labels), section.classes, f"{name} column {label}")
    xs = [np.stack([column.parts[i] for column in encoded], axis=1) for i in range(len(frames))]
    columns = tuple(column.column for column in encoded)
    schema = Schema(columns=columns, label=label, relations=_relations(section, columns))
    notes = (*_notes(encoded, section), *_broken(schema, xs))
    draft = Draft(name=name, layout="row", classes=labelled.classes, bounds=bounds, schema=schema, notes=notes)
    if train is None:
        return whole(draft, Split(xs[0], labelled.y), section.test_share, section.seed)
    cut = len(train)
    return apart(draft, Split(xs[0], labelled.y[:cut]), Split(xs[1], labelled.y[cut:]))


def schema_of_rows(rows: Rows, section: DataSection, where: str) -> Described:
    """Describe columns of arrays, which carry no names: x0, x1, …"""
    for column in section.columns:
        if column not in rows.names:
            raise DataError(f'no column "{column}"', where="data.columns", fix=nearest(column, rows.names))
    if len({x.shape[1] for x in rows.xs}) != 1:
        widths = " and ".join(str(x.shape[1]) for x in rows.xs)
        raise DataError(f"training and test rows have {widths} columns", where=where, fix="give both the same columns")
    kept = [name for name in rows.names if not section.columns.get(name, ColumnSection()).ignore]
    encoded = []
    for name in kept:
        parts = [pl.Series(name, x[:, rows.names.index(name)]) for x in rows.xs]
        encoded.append(_encoded(name, parts, section.columns.get(name), where))
    xs = [np.stack([column.parts[i] for column in encoded], axis=1) for i in range(len(rows.xs))]
    columns = tuple(column.column for column in encoded)
    return Described(xs, Schema(columns=columns, label="y", relations=_relations(section, columns)))


def _label(section: DataSection, name: str, frames: Sequence[pl.DataFrame]) -> str:
    columns = frames[-1].columns
    if not section.label:
        raise DataError("the label column is not named", where="data.label", fix=f"columns: {', '.join(columns)}")
    for frame in frames:
        if section.label not in frame.columns:
            fix = nearest(section.label, frame.columns)
            raise DataError(f'{name} has no column "{section.label}"', where="data.label", fix=fix)
    return section.label


def _features(section: DataSection, name: str, label: str, frames: Sequence[pl.DataFrame]) -> list[str]:
    columns = frames[-1].columns
    for declared in section.columns:
        if declared not in columns:
            fix = nearest(declared, columns)
            raise DataError(f'{name} has no column "{declared}"', where=f"data.columns.{declared}", fix=fix)
    for frame in frames[:-1]:
        if set(frame.columns) != set(columns):
            odd = sorted(set(frame.columns) ^ set(columns))
            raise DataError(f"training and test rows differ in columns: {', '.join(odd[:5])}", where=name)
    names = [c for c in columns if c != label and not section.columns.get(c, ColumnSection()).ignore]
    if not names:
        raise DataError("has no column but the label", where=name, fix="name a table with features")
    return names


def _labels(series: pl.Series, name: str) -> np.ndarray:
    if series.null_count():
        row = int(series.is_null().arg_max() or 0)
        raise DataError(f"row {row} has no label", where=f"{name} column {series.name}", fix="drop or label it")
    return series.to_numpy() if series.dtype.is_numeric() else np.array(series.cast(pl.String).to_list(), dtype=str)


def _encoded(name: str, parts: Sequence[pl.Series], said: ColumnSection | None, where: str) -> Encoded:
    said = said or ColumnSection()
    place = f"{where} column {name}"
    _no_gaps(parts, place)
    kind = said.kind or ("categorical" if said.categories else _kind(parts, place))
    if kind == "categorical":
        return _categorical(name, parts, said, place)
    numbers = [_numbers(part, kind, place) for part in parts]
    if kind != "continuous":
        _only_whole(numbers, kind, place)
    everything = np.concatenate(numbers) if numbers else np.zeros(0)
    low, high = _range(everything, kind, said)
    _in_range(numbers, low, high, place)
    column = _column(name, kind, said, low, high, ())
    return Encoded(column, [part.astype(np.float32) for part in numbers])


def _column(
    name: str, kind: ColumnKind, said: ColumnSection, low: float | None, high: float | None, categories: tuple[str, ...]
) -> Column:
    return Column(
        name=name,
        kind=kind,
        low=low,
        high=high,
        categories=categories,
        immutable=said.immutable,
        sensitive=said.sensitive,
        direction=said.direction,
        group=said.group,
    )


def _no_gaps(parts: Sequence[pl.Series], place: str) -> None:
    for part in parts:
        empty = part.is_null()
        if empty.any():
            raise DataError(
                f"row {empty.arg_max()} is empty ({empty.sum()} of {len(part)} rows)",
                where=place,
                fix="fill or drop what is missing as the model's own training did, or ignore the column",
            )


def _kind(parts: Sequence[pl.Series], place: str) -> ColumnKind:
    """Read a column's kind from its type; whole numbers that are only 0 and 1 are boolean."""
    kind = parts[-1].dtype
    if kind == pl.Boolean:
        return "boolean"
    if kind in (pl.String, pl.Categorical, pl.Enum):
        _no_stray_words(parts, place)
        return "categorical"
    if kind.is_integer():
        return "boolean" if all(part.is_in([0, 1]).all() for part in parts) else "integer"
    if kind.is_float() or kind.is_decimal():
        return "continuous"
    raise DataError(f"values are of type {kind}", where=place, fix="turn them into numbers, or set ignore = true")


def _no_stray_words(parts: Sequence[pl.Series], place: str) -> None:
    """Refuse a column of numbers with a few words in it, such as NA: as categories it would mean something else."""
    for part in parts:
        texts = part.cast(pl.String)
        words = texts.cast(pl.Float64, strict=False).is_null()
        if len(part) and 0 < words.sum() <= _STRAY * len(part):
            row = int(words.arg_max() or 0)
            raise DataError(
                f'row {row} is "{texts[row]}" among numbers ({words.sum()} of {len(part)} rows)',
                where=place,
                fix='mend or drop these rows, or say kind = "categorical"',
            )


def _categorical(name: str, parts: Sequence[pl.Series], said: ColumnSection, place: str) -> Encoded:
    texts = [part.cast(pl.String).to_list() for part in parts]
    if all(part.dtype.is_float() for part in parts):  # 3.0 is written as 3
        texts = [[f"{float(value):g}" for value in part] for part in texts]
    found = {value for part in texts for value in part}
    numeric = all(part.dtype.is_numeric() for part in parts)
    categories = said.categories or tuple(sorted(found, key=(lambda v: (float(v), v)) if numeric else str))
    index = {value: i for i, value in enumerate(categories)}
    for part in texts:
        for row, value in enumerate(part):
            if value not in index:
                raise DataError(
                    f'row {row} is "{value}", which is no category', where=place, fix=nearest(value, categories)
                )
    arrays = [np.array([index[value] for value in part], dtype=np.float32) for part in texts]
    return Encoded(_column(name, "categorical", said, 0.0, float(len(categories) - 1), categories), arrays)


def _numbers(part: pl.Series, kind: ColumnKind, place: str) -> np.ndarray:
    try:
        values = part.cast(pl.Float64, strict=True).to_numpy()
    except pl.exceptions.InvalidOperationError:
        text = part.cast(pl.String)
        bad = text.cast(pl.Float64, strict=False).is_null()
        row = int(bad.arg_max() or 0)
        raise DataError(
            f'row {row} is "{text[row]}", not a number', where=place, fix=f'it is declared {kind}; say "categorical"'
        ) from None
    bad_values = ~np.isfinite(values)
    if bad_values.any():
        row = int(bad_values.argmax())
        raise DataError(
            f"row {row} is {values[row]} ({int(bad_values.sum())} of {len(values)} rows)",
            where=place,
            fix="fill or drop what is missing as the model's own training did, or ignore the column",
        )
    return np.asarray(values, dtype=np.float64)


def _only_whole(parts: Sequence[np.ndarray], kind: ColumnKind, place: str) -> None:
    for part in parts:
        bad = part != np.round(part)
        if kind == "boolean":
            bad |= (part != 0) & (part != 1)
        if bad.any():
            row = int(bad.argmax())
            raise DataError(f"row {row} is {part[row]:g}, not {kind}", where=place, fix='say kind = "continuous"')


def _range(values: np.ndarray, kind: ColumnKind, said: ColumnSection) -> tuple[float, float]:
    """Take the declared range, and what it leaves open from the data."""
    if kind == "boolean":
        return 0.0, 1.0
    low = said.low if said.low is not None else float(values.min(initial=np.inf))
    high = said.high if said.high is not None else float(values.max(initial=-np.inf))
    return (low, high) if len(values) else (0.0, 1.0)


def _in_range(parts: Sequence[np.ndarray], low: float, high: float, place: str) -> None:
    for part in parts:
        bad = (part < low) | (part > high)
        if bad.any():
            row = int(bad.argmax())
            raise DataError(
                f"row {row} is {part[row]:g}, outside the declared range [{low:g}, {high:g}]",
                where=place,
                fix="widen low and high in data.columns, or mend the row",
            )


def _relations(section: DataSection, columns: tuple[Column, ...]) -> tuple[Relation, ...]:
    """Read the declared relations; raises DataError for one that cannot be read or that names what is no number."""
    kinds = {column.name: column.kind for column in columns}
    found = []
    for row, text in enumerate(section.relations):
        where = f"data.relations.{row}"
        try:
            found.append(relation(text))
        except ValueError as error:
            raise DataError(str(error), where=where, fix='write "total == a + b" or "low <= high"') from error
        for name in found[-1].columns:
            if name not in kinds:
                raise DataError(f'no column "{name}"', where=where, fix=nearest(name, kinds))
            if kinds[name] == "categorical":
                raise DataError(f"{name} is categorical, which is no number", where=where, fix="relate numbers")
    return tuple(found)


def _broken(schema: Schema, xs: Sequence[Floats]) -> tuple[str, ...]:
    """Note relations that rows of the data themselves break."""
    notes, names = [], [column.name for column in schema.columns]
    for rule in schema.relations:
        places, weights = [names.index(name) for name in rule.columns], np.array(rule.weights)
        terms = np.concatenate([x[:, places] for x in xs]).astype(np.float64) * weights
        gap, slack = terms.sum(1) - rule.value, TOLERANCE * (np.abs(terms).sum(1) + abs(rule.value))
        bad = int(((np.abs(gap) if rule.sense == "==" else gap) > slack).sum())
        if bad:
            notes.append(f'{bad} of {len(terms)} rows break "{rule.text}"')
    return tuple(notes)


def _notes(encoded: Sequence[Encoded], section: DataSection) -> tuple[str, ...]:
    notes = []
    ignored = [name for name, said in section.columns.items() if said.ignore]
    if ignored:
        notes.append(f"columns left out: {', '.join(ignored)}")
    large = [
        column.column.name
        for column in encoded
        if column.column.kind == "integer" and max(-(column.column.low or 0), column.column.high or 0) > _EXACT
    ]
    if large:
        notes.append(f"columns {', '.join(large)} hold numbers above 2^24, which float32 rounds")
    single = [c.column.name for c in encoded if all(part.size and part.min() == part.max() for part in c.parts)]
    if single:
        notes.append(f"columns {', '.join(single)} hold a single value")
    return tuple(notes)
