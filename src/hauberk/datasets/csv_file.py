"""Tables in CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import polars as pl

from hauberk.core.card import Card
from hauberk.core.errors import DataError
from hauberk.core.project import DataSection
from hauberk.datasets.checked import InMemory
from hauberk.datasets.files import existing
from hauberk.datasets.table import from_frames


class CsvFile:
    """A table with a header line; separators other than a comma for .tsv."""

    card: ClassVar[Card] = Card(
        title="CSV",
        summary="Reads a table with a header line; kinds, categories and ranges of columns come from the data.",
        suffixes=(".csv", ".tsv", ".csv.gz"),
        inputs=("row",),
        extra="data",
    )

    @classmethod
    def open(cls, section: DataSection, folder: Path, bounds: tuple[float, float] | None, thing: object) -> InMemory:  # noqa: ARG003
        """Read and check; raises DataError that names row and column."""
        test = frame(existing(folder, section.source, "data.source"))
        train = frame(existing(folder, section.train, "data.train")) if section.train else None
        return from_frames(section, Path(section.source).name, bounds, test, train)


def frame(path: Path) -> pl.DataFrame:
    """Read all of it; a column's type is decided by every row, not by the first ones."""
    separator = "\t" if path.suffix == ".tsv" else ","
    try:
        return pl.read_csv(path, separator=separator, infer_schema_length=None, try_parse_dates=False)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"cannot be read as CSV: {said}", where=path.name, fix="save it as UTF-8 with a header"
        ) from None
