"""Declared expectations, compiled into expressions that one polars select evaluates for a whole batch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import polars as pl

from hauberk.core.errors import ProjectError
from hauberk.core.project import ColumnSection
from hauberk.core.relations import TOLERANCE, Relation
from hauberk.core.tables import FIRST
from hauberk.scanning.tables.distinct import Seen
from hauberk.scanning.tables.facts import Check, Expectation
from hauberk.scanning.tables.gathered import Gathered


class _Rule(NamedTuple):
    """One expectation. broken: an expression, true for rows that break it; None where it needs more than the row."""

    check: Check
    column: str
    declared: str
    broken: pl.Expr | None
    share: float = 0.0


class Expectations:
    """Holds every batch against what was declared; counts rows that break it, keeps `most` of their ids."""

    def __init__(
        self,
        columns: Mapping[str, ColumnSection],
        relations: tuple[Relation, ...] = (),
        label: str = "",
        classes: tuple[str, ...] = (),
        most: int = FIRST,
    ) -> None:
        self._most = most
        self._columns, self._relations, self._label, self._classes = columns, relations, label, classes
        self._rules: list[_Rule] | None = None
        self._gathered: list[Gathered] = []
        self._seen: dict[str, Seen] = {}
        self._last: dict[str, object] = {}
        self._rows = 0

    @property
    def any(self) -> bool:
        """Say whether anything is declared."""
        return bool(self._columns or self._relations or self._classes)

    def add(self, frame: pl.DataFrame, first: int) -> None:
        """Hold one batch, typed and with missing values as null or NaN, against the expectations."""
        if self._rules is None:
            self._rules = list(self._compiled(frame.schema))
            self._gathered = [Gathered(self._most) for _ in self._rules]
        self._rows += len(frame)
        rules = [(i, rule.broken) for i, rule in enumerate(self._rules) if rule.broken is not None]
        if rules and len(frame):
            counts = frame.select(broken.sum().alias(str(i)) for i, broken in rules).row(0)
            for (i, broken), count in zip(rules, counts, strict=True):
                wanted = count and self._gathered[i].wants
                self._gathered[i].add(count or 0, frame.select(broken).to_series() if wanted else None, first)
        for i, rule in enumerate(self._rules):
            if rule.check == "unique":
                self._seen.setdefault(rule.column, Seen()).add(frame[rule.column], first)
            elif rule.check == "ordered":
                self._ordered(i, rule, frame[rule.column], first)

    def _ordered(self, i: int, rule: _Rule, values: pl.Series, first: int) -> None:
        there = values.drop_nulls()
        if not len(there):
            return
        before = pl.concat(
            [pl.Series([self._last.get(rule.column, there[0])], dtype=there.dtype), there.head(len(there) - 1)]
        )
        bad = (there < before) if "falls" in rule.declared else (there > before)
        self._last[rule.column] = there[-1]
        if count := int(bad.sum()):
            places = values.is_not_null().arg_true().filter(bad)
            mask = pl.Series(range(len(values))).is_in(places.to_list()) if self._gathered[i].wants else None
            self._gathered[i].add(count, mask, first)

    def result(self) -> tuple[Expectation, ...]:
        """Return every expectation and what broke it."""
        made = []
        for rule, gathered in zip(self._rules or [], self._gathered, strict=True):
            broken, estimated = gathered.rows(), False
            if rule.check == "unique" and rule.column in self._seen:
                found = self._seen[rule.column].result()
                first = tuple(int(row) for row in sorted(found.repeats.tolist())[: self._most])
                broken, estimated = type(broken)(count=found.total, first=first), found.share < 1
            made.append(
                Expectation(
                    check=rule.check,
                    column=rule.column,
                    declared=rule.declared,
                    broken=broken,
                    of=self._rows,
                    share=rule.share,
                    estimated=estimated,
                )
            )
        return tuple(made)

    def _compiled(self, schema: pl.Schema) -> Iterator[_Rule]:
        for name, section in self._columns.items():
            if name in schema and not section.ignore:
                yield from _column_rules(name, section, schema[name])
        if self._label in schema and self._classes and not self._columns.get(self._label, ColumnSection()).categories:
            yield _values(self._label, self._classes, schema[self._label])
        for relation in self._relations:
            if all(name in schema and schema[name].is_numeric() for name in relation.columns):
                yield _Rule("relation", ", ".join(relation.columns), relation.text, _related(relation))


def _column_rules(name: str, section: ColumnSection, kind: pl.DataType) -> Iterator[_Rule]:
    column = pl.col(name)
    if kind.is_numeric():
        yield from _range(name, section, kind)
        neither = (column != 0) & (column != 1)
        if section.kind == "boolean":
            yield _Rule("kind", name, section.kind, neither & column.is_not_nan() if kind.is_float() else neither)
        if section.kind == "integer" and kind.is_float():
            yield _Rule("kind", name, section.kind, column.is_not_nan() & (column != column.round()))
    if section.categories:
        yield _values(name, section.categories, kind)
    if section.pattern:
        yield _Rule(
            "pattern", name, section.pattern, ~column.cast(pl.String).str.contains(_whole(name, section.pattern))
        )
    if section.longest is not None and kind == pl.String:
        yield _Rule("length", name, f"at most {section.longest} characters", column.str.len_chars() > section.longest)
    if section.missing is not None:
        gap = column.is_null() | column.is_nan() if kind.is_float() else column.is_null()
        yield _Rule("missing", name, f"at most {section.missing:g} of the rows", gap, section.missing)
    if section.unique:
        yield _Rule("unique", name, "unique", None)
    if section.ordered:
        yield _Rule("ordered", name, "never falls" if section.ordered == "up" else "never rises", None)


def _range(name: str, section: ColumnSection, kind: pl.DataType) -> Iterator[_Rule]:
    column, low, high = pl.col(name), section.low, section.high
    if low is None and high is None:
        return
    outside = pl.lit(value=False) if low is None else column < low
    if high is not None:
        outside = (outside | (column > high)) if low is not None else column > high
    if kind.is_float() and high is not None:
        outside = outside & column.is_not_nan()  # NaN counts as missing, once; polars puts it above every number
    words = (
        f"[{low:g}, {high:g}]"
        if low is not None and high is not None
        else (f"≥ {low:g}" if low is not None else f"≤ {high:g}")
    )
    yield _Rule("range", name, words, outside)


def _values(name: str, allowed: tuple[str, ...], kind: pl.DataType) -> _Rule:
    column = pl.col(name)
    words = f"one of {len(allowed)} values"
    if kind == pl.String:
        return _Rule("values", name, words, ~column.is_in(list(allowed)))
    if kind.is_numeric():
        numbers = [float(value) for value in allowed if _is_number(value)]
        return _Rule("values", name, words, ~column.cast(pl.Float64).is_in(numbers))
    return _Rule("values", name, words, ~column.cast(pl.String).is_in(list(allowed)))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _whole(name: str, pattern: str) -> str:
    """Anchor a pattern at both ends; raises ProjectError for one that is none, or that a linear engine cannot run."""
    anchored = rf"\A(?:{pattern})\z"
    try:
        pl.Series(["a"]).str.contains(anchored)
    except pl.exceptions.PolarsError as error:
        try:
            re.compile(pattern)
        except re.error as fault:
            reason = str(fault)
        else:
            reason = "look-around and back references take time without bound"
        fix = "write it without them; the whole text has to fit"
        raise ProjectError(f"the pattern cannot be used: {reason}", where=f"data.columns.{name}", fix=fix) from error
    return anchored


def _related(rule: Relation) -> pl.Expr:
    terms = [pl.col(name).cast(pl.Float64) * weight for name, weight in zip(rule.columns, rule.weights, strict=True)]
    gap = pl.sum_horizontal(terms, ignore_nulls=False) - rule.value
    slack = TOLERANCE * (pl.sum_horizontal([term.abs() for term in terms], ignore_nulls=False) + abs(rule.value))
    return (gap.abs() if rule.sense == "==" else gap) > slack
