"""Tables of a database, by address: "sqlite:///file.db#table", "postgresql://$USER@host/db#schema.table"."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import polars as pl
import sqlalchemy as sa

from hauberk.core.errors import DataError, nearest
from hauberk.core.tables import Batch
from hauberk.datasets.streaming import Faults, Streamed, rows_for, told


def open_stream(path: Path, name: str) -> Streamed:
    """Open one table for reading; path: the folder that a relative SQLite file is looked for in. Raises DataError."""
    address, mark, table = name.partition("#")
    if not mark or not table:
        raise DataError("names no table", where="data.source", fix='write it after "#", such as sqlite:///a.db#loans')
    try:
        url = sa.make_url(_filled(address))
    except sa.exc.ArgumentError as error:
        raise DataError(f"is no address: {told(error)}", where="data.source") from None
    if url.drivername.startswith("sqlite") and url.database and url.database != ":memory:":
        file = path / url.database
        if not file.is_file():
            raise DataError(f'no file "{url.database}"', where="data.source", fix="SQLite would make an empty one")
        url = url.set(database=str(file))
    shown = f"{url._replace(username=None, password=None).render_as_string() if url.host else address}#{table}"
    return Streamed(shown, "sql", lambda faults: _batches(url, table, faults))


def _filled(address: str) -> str:
    """Take $NAME parts from the environment, so that no password stands in a file."""

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if found is None:
            raise DataError(f"${match[1]} is not set", where="data.source", fix="export it")
        return quote(found, safe="")

    return re.sub(r"\$([A-Za-z_]\w*)", value, address)


def _batches(url: sa.URL, name: str, faults: Faults) -> Iterator[Batch]:
    schema, _, table_name = name.rpartition(".")
    try:
        engine = sa.create_engine(url)
        try:
            with engine.connect() as connection:
                table = _table(connection, table_name, schema or None)
                yield from _rows(connection, table)
        finally:
            engine.dispose()
    except (sa.exc.SQLAlchemyError, ModuleNotFoundError) as error:
        faults.add("malformed", f"the database could not be read: {told(error)}")


def _table(connection: sa.Connection, name: str, schema: str | None) -> sa.Table:
    """Reflect the table: a name is never put into the statement as text. Raises DataError."""
    there = sa.inspect(connection)
    known = [*there.get_table_names(schema), *there.get_view_names(schema)]
    if name not in known:
        raise DataError(f'no table "{name}"', where="data.source", fix=nearest(name, known))
    return sa.Table(name, sa.MetaData(), schema=schema, autoload_with=connection)


def _rows(connection: sa.Connection, table: sa.Table) -> Iterator[Batch]:
    names = [column.name for column in table.columns]
    order = list(table.primary_key.columns)
    size = rows_for(len(names))
    result = connection.execution_options(stream_results=True, yield_per=size).execute(
        sa.select(table).order_by(*order)
    )
    first = 0
    for part in result.partitions(size):
        columns = zip(*part, strict=True)
        yield Batch(first, pl.DataFrame([_series(name, list(v)) for name, v in zip(names, columns, strict=True)]))
        first += len(part)
    if not first:
        yield Batch(0, pl.DataFrame(schema=dict.fromkeys(names, pl.String)))


def _series(name: str, values: list[object]) -> pl.Series:
    """Make a column of values as drivers give them; a mixture becomes text."""
    kinds = {type(value) for value in values} - {type(None)}
    if kinds <= {int, float, Decimal} and kinds - {int}:
        return pl.Series(name, [None if v is None else float(v) for v in values], dtype=pl.Float64)  # type: ignore[arg-type]
    if len(kinds) <= 1 and kinds <= {int, bool, str, bytes, dt.date, dt.datetime}:
        return pl.Series(name, values)
    return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)
