"""The tables of an evidence log, the same in SQLite and PostgreSQL, and the triggers that let rows only be added."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    insert,
    inspect,
    select,
)

from hauberk.core.errors import StoreError, TamperError

SCHEMA_VERSION = "1"
_METADATA = MetaData()
_POSITION = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits on both; SQLite keeps a table in the order of its key only where the type is spelled INTEGER."""


class _Bytes(LargeBinary):
    """Bytes and nothing else: SQLite lets an attacker keep a number or text in any column."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[object], bytes]:  # noqa: ARG002
        """Take what the driver read as it is."""
        return _exactly_bytes


def _exactly_bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TamperError(f"the database holds a {type(value).__name__} where bytes were kept")
    return value


meta = Table(
    "evidence_meta", _METADATA, Column("name", String(32), primary_key=True), Column("value", Text, nullable=False)
)
runs = Table(
    "evidence_runs",
    _METADATA,
    Column("run", String(64), primary_key=True),
    Column("first", _POSITION, nullable=False),
)
entries = Table(
    "evidence_entries",
    _METADATA,
    Column("idx", _POSITION, primary_key=True, autoincrement=False),
    Column("run", String(64), ForeignKey("evidence_runs.run"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("step", Text),
    Column("data", _Bytes, nullable=False),
    Column("leaf", _Bytes(32), nullable=False),
    Index("evidence_entries_run", "run", "idx"),
    Index("evidence_entries_step", "step", "idx"),
)
checkpoints = Table(
    "evidence_checkpoints",
    _METADATA,
    Column("size", _POSITION, primary_key=True, autoincrement=False),
    Column("data", _Bytes, nullable=False),
)

_PG_FUNCTION = """
CREATE OR REPLACE FUNCTION evidence_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the evidence log is append-only'; END $$
"""
_PG_TRIGGER = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION evidence_append_only()
"""
_SQLITE_TRIGGER = """
CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table} {when}
BEGIN SELECT RAISE(ABORT, 'the evidence log is append-only'); END
"""


def origin_of(connection: Connection, where: str) -> str | None:
    """Return the log's own name, or None where there is no log yet.

    Raises StoreError where the tables are of another version.
    """
    names = set(inspect(connection).get_table_names())
    wanted = {table.name for table in _METADATA.sorted_tables}
    if not wanted & names:
        return None
    found: dict[str, str] = {}
    if meta.name in names:
        found = {row.name: row.value for row in connection.execute(select(meta))}
    version = found.get("schema", "unknown")
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"the log was written with schema {version}; this hauberk reads schema {SCHEMA_VERSION}",
            where=where,
            fix='pip install --upgrade hauberk, or name another place in hauberk.toml: [store] url = "…"',
        )
    if "origin" not in found or wanted - names:
        raise StoreError("the log lacks tables or its name", where=where, fix="put the database back from a copy")
    return found["origin"]


def create(connection: Connection, origin: str) -> None:
    """Make tables and triggers, and name the log; part of the caller's transaction."""
    _METADATA.create_all(connection)
    connection.execute(insert(meta), [{"name": "schema", "value": SCHEMA_VERSION}, {"name": "origin", "value": origin}])
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_PG_FUNCTION)
    for table in _METADATA.sorted_tables:
        for statement in _triggers(table, connection.dialect.name):
            connection.exec_driver_sql(statement)


def _triggers(table: Table, dialect: str) -> tuple[str, ...]:
    """Word the triggers of one table; in SQLite INSERT OR REPLACE would delete without asking the DELETE trigger."""
    if dialect == "postgresql":
        return (_PG_TRIGGER.format(table=table.name),)
    key = table.primary_key.columns[0].name
    taken = f"WHEN EXISTS (SELECT 1 FROM {table.name} WHERE {key} = NEW.{key})"  # noqa: S608 - our own names
    verbs = (("UPDATE", ""), ("DELETE", ""), ("INSERT", taken))
    return tuple(_SQLITE_TRIGGER.format(table=table.name, verb=verb, when=when) for verb, when in verbs)
