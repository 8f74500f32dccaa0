"""What the columns of a source without types hold: numbers where most texts are numbers, whatever a few others are."""

from __future__ import annotations

import polars as pl

from hauberk.scanning.tables.facts import Kind

GAPS = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "#N/A", "<NA>")
"""Texts that say there is no value, as pandas and spreadsheets write them; "none" may be a category."""
BLANKS = ("?", "-", "--", ".", "unknown", "missing", "-999", "-9999")
"""Texts that often stand in for a missing value and are one only for who knows."""
NUMERIC = 0.9
"""Share of texts that are numbers from which a column holds numbers."""


class Typer:
    """Turns the text columns of a source without types into numbers, as its first batch says; keeps what was no number.

    A column that the project declares numeric or categorical is what it is declared.
    """

    def __init__(self, typed: bool, numeric: tuple[str, ...] = (), textual: tuple[str, ...] = ()) -> None:
        self._typed, self._numeric, self._textual = typed, frozenset(numeric), frozenset(textual)
        self.numbers: dict[str, bool] = {}

    def typed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the frame with missing values as null, once: NaN, and in sources without types the usual words."""
        made = []
        for name, kind in frame.schema.items():
            column = pl.col(name)
            if kind.is_float():
                made.append(column.fill_nan(None))
            elif kind == pl.String and not self._typed:
                gapless = pl.when(column.str.strip_chars().is_in(GAPS)).then(None).otherwise(column).alias(name)
                made.append(_number(gapless) if self._is_number(frame[name]) else gapless)
            elif kind == pl.String and name in self._numeric:
                made.append(_number(column))
                self.numbers[name] = True
            elif isinstance(kind, pl.Categorical | pl.Enum):
                made.append(column.cast(pl.String))
        return frame.with_columns(made) if made else frame

    def _is_number(self, texts: pl.Series) -> bool:
        name = texts.name
        if name not in self.numbers:
            head = texts.head(10_000).str.strip_chars()
            there = head.filter(~head.is_in(GAPS))
            numbers = there.cast(pl.Float64, strict=False).is_not_null().sum()
            self.numbers[name] = name in self._numeric or (
                name not in self._textual and len(there) > 0 and numbers >= NUMERIC * len(there)
            )
        return self.numbers[name]

    def words(self, frame: pl.DataFrame, typed: pl.DataFrame) -> dict[str, pl.Series]:
        """Return for columns of numbers which rows hold a word."""
        found = {}
        for name, number in self.numbers.items():
            if number and name in frame.columns and typed[name].null_count():
                texts = frame[name].str.strip_chars()
                mask = typed[name].is_null() & texts.is_not_null() & ~texts.is_in(GAPS)
                if mask.any():
                    found[name] = mask
        return found


def _number(column: pl.Expr) -> pl.Expr:
    return column.str.strip_chars().cast(pl.Float64, strict=False).fill_nan(None)


def kind_of(dtype: pl.DataType) -> Kind:
    """Name the kind of a column."""
    if dtype.is_numeric():
        return "number"
    if dtype == pl.Boolean:
        return "boolean"
    if dtype in (pl.String, pl.Null):
        return "text"
    return "time" if dtype.is_temporal() else "other"
