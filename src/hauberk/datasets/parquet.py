"""Tables in Parquet files."""

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


class Parquet:
    """A table whose columns carry their types."""

    card: ClassVar[Card] = Card(
        title="Parquet",
        summary="Reads a typed table; kinds, categories and ranges of columns come from the data.",
        suffixes=(".parquet", ".pq"),
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
    """Read all of it; raises DataError."""
    try:
        return pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"cannot be read as Parquet: {said}", where=path.name, fix="write the file again") from None
