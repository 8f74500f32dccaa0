"""How SQLite and PostgreSQL are reached: one exclusive transaction to write, one snapshot to read, faults in words."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool, QueuePool

from hauberk.core.errors import MissingExtra, StoreError, TamperError, UsageError

FOLDER = ".hauberk"
"""The project's own folder for keys, evidence and the witness file."""
_ANOTHER = 'name another place in hauberk.toml: [store] url = "…"'
_A_COPY = "put it back from a copy, then verify"
_SAFE = "what was acknowledged before is safe"


class Place(NamedTuple):
    """A place where a log is kept.

    where: for messages, without a password. head: the path of its witness file. writing: opens the one exclusive
    transaction. reading: opens a snapshot. Both raise StoreError in the words of this house, TamperError where the
    database itself is damaged.
    """

    where: str
    head: Path
    writing: Callable[[], AbstractContextManager[Connection]]
    reading: Callable[[], AbstractContextManager[Connection]]
    close: Callable[[], None]


def open_place(url: str, folder: Path, *, read_only: bool, patience: float) -> Place:
    """Prepare to reach the database of a URL; a relative SQLite path is relative to `folder`.

    patience: seconds to wait for another writer. Raises UsageError for a URL that names no place, StoreError where
    there is nothing to read, MissingExtra where the driver is not installed.
    """
    parsed = _parsed(url)
    if parsed.drivername.partition("+")[0] == "sqlite" and parsed.database not in (None, "", ":memory:"):
        path = folder / str(parsed.database)
        return _sqlite_reader(path, patience) if read_only else _sqlite_writer(path, patience)
    if parsed.drivername.partition("+")[0] in ("postgresql", "postgres"):
        return _postgresql(parsed, folder, patience)
    raise UsageError(
        f'"{parsed.drivername}" cannot keep evidence', where="[store] url", fix="use sqlite:///FILE or postgresql://…"
    )


def _parsed(url: str) -> URL:
    """Parse a URL, $NAME parts read from the environment."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in os.environ:
            raise UsageError(f"the environment has no {name}", where="[store] url", fix=f"export {name}=…")
        found = os.environ[name]
        return found if match[0] == url else quote(found, safe="")

    try:
        return make_url(re.sub(r"\$(?:([A-Z_][A-Z0-9_]*)|\{([A-Za-z_]\w*)\})", value, url))
    except (ArgumentError, ValueError) as error:
        raise UsageError(
            "is no database URL", where="[store] url", fix="write sqlite:///FILE or postgresql://USER@HOST/NAME"
        ) from error


@contextmanager
def _transaction(
    engine: Engine, options: Mapping[str, object], fault: Callable[[DBAPIError], StoreError], where: str
) -> Iterator[Connection]:
    """Open a transaction; commit at the end, roll back on any fault."""
    try:
        with engine.connect() as plain:
            connection = plain.execution_options(**options)
            with connection.begin():
                yield connection
    except PoolTimeout as error:
        raise StoreError("too many readers at once", where=where, fix="close some and ask again") from error
    except UnicodeDecodeError as error:  # the driver reads an error message that quotes a damaged page
        raise TamperError("the database is damaged", where=where, fix=_A_COPY) from error
    except DBAPIError as error:
        raise fault(error) from error


# --- SQLite


def _sqlite_writer(path: Path, patience: float) -> Place:
    """Reach a file to append to it: WAL, so that readers do not wait; FULL, so that a commit survives the power."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the folder cannot be made: {error.strerror}",
            where=str(path.parent),
            fix=f"make it writable, or {_ANOTHER}",
        ) from error

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, pool_size=1, max_overflow=7)
    event.listen(engine, "begin", _sqlite_begin)
    fault = _sqlite_fault(path, patience)
    return Place(
        where=str(path),
        head=path.with_suffix(".head"),
        writing=lambda: _transaction(engine, {"immediate": True}, fault, str(path)),
        reading=lambda: _transaction(engine, {}, fault, str(path)),
        close=engine.dispose,
    )


def _sqlite_reader(path: Path, patience: float) -> Place:
    """Reach a file to read it, making no file beside it.

    In WAL mode even a read-only connection makes the -wal and -shm files, unless it is told that nobody writes. So it
    is told so while there is no -wal file, and afterwards it is seen that nobody did.
    """
    log = path.with_name(f"{path.name}-wal")

    def connect() -> sqlite3.Connection:
        immutable = "" if log.exists() else "&immutable=1"
        uri = f"{path.resolve().as_uri()}?mode=ro{immutable}"
        return sqlite3.connect(uri, uri=True, timeout=patience, isolation_level=None, check_same_thread=False)

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", _sqlite_begin)
    fault = _sqlite_fault(path, patience)

    @contextmanager
    def reading() -> Iterator[Connection]:
        if not path.is_file():
            raise StoreError("no evidence has been kept here", where=str(path), fix="run `hauberk check`")
        quiet, before = not log.exists(), path.stat()
        with _transaction(engine, {}, fault, str(path)) as connection:
            yield connection
        after = path.stat()
        if quiet and (log.exists() or (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size)):
            raise StoreError("a run wrote to the log while it was read", where=str(path), fix="ask again")

    return Place(str(path), path.with_suffix(".head"), _refused(str(path)), reading, engine.dispose)


def _refused(where: str) -> Callable[[], AbstractContextManager[Connection]]:
    def writing() -> AbstractContextManager[Connection]:
        raise StoreError("the log was opened to be read", where=where, fix="open it with read_only=False")

    return writing


def _sqlite_begin(connection: Connection) -> None:
    """Begin ourselves: the driver would begin too late, and never IMMEDIATE."""
    mode = "IMMEDIATE" if connection.get_execution_options().get("immediate") else "DEFERRED"
    connection.exec_driver_sql(f"BEGIN {mode}")


def _sqlite_fault(path: Path, patience: float) -> Callable[[DBAPIError], StoreError]:
    words = {
        sqlite3.SQLITE_FULL: ("the disk is full", f"free some space and run `hauberk check --resume`; {_SAFE}"),
        sqlite3.SQLITE_BUSY: (
            f"another process has written to the log for more than {patience:g} s",
            "wait until it is done, or end it, and run again",
        ),
        sqlite3.SQLITE_READONLY: ("the file or its folder is read-only", f"make both writable, or {_ANOTHER}"),
        sqlite3.SQLITE_CANTOPEN: ("the file cannot be opened", f"make its folder readable and writable, or {_ANOTHER}"),
        sqlite3.SQLITE_IOERR: ("the disk does not answer", f"look at the disk, then run again; {_SAFE}"),
    }

    def fault(error: DBAPIError) -> StoreError:
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        undecodable = "Could not decode" in str(error.orig)  # the driver's own, without a code
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or undecodable:
            return TamperError(f"the database is damaged: {_first_line(error)}", where=str(path), fix=_A_COPY)
        what, fix = words.get(code, (_first_line(error), "look at the file, then run again"))
        return StoreError(what, where=str(path), fix=fix)

    return fault


# --- PostgreSQL


def _postgresql(url: URL, folder: Path, patience: float) -> Place:
    """Reach a server; writers take turns by an advisory lock on the schema they write to."""
    where = url.set(query={}).render_as_string(hide_password=True)
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"), pool_size=1, max_overflow=7, pool_pre_ping=True
        )
    except ModuleNotFoundError as error:
        raise MissingExtra("psycopg", "gateway") from error
    fault = _postgresql_fault(where, patience)

    @contextmanager
    def writing() -> Iterator[Connection]:
        with _transaction(engine, {"isolation_level": "READ COMMITTED"}, fault, where) as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(patience * 1000)}")
            connection.exec_driver_sql("SET LOCAL synchronous_commit = on")
            connection.exec_driver_sql(
                "SELECT pg_advisory_xact_lock(hashtextextended('hauberk.evidence.' || current_schema(), 0))"
            )
            yield connection

    snapshot = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return Place(
        where=where,
        head=folder / FOLDER / "postgresql.head",
        writing=writing,
        reading=lambda: _transaction(engine, snapshot, fault, where),
        close=engine.dispose,
    )


def _postgresql_fault(where: str, patience: float) -> Callable[[DBAPIError], StoreError]:
    words = {
        "53100": ("the server's disk is full", f"free some space there and run `hauberk check --resume`; {_SAFE}"),
        "55P03": (
            f"another process has written to the log for more than {patience:g} s",
            "wait until it is done, or end it, and run again",
        ),
        "25006": ("the server is read-only", f"connect to its primary, or {_ANOTHER}"),
        "42501": ("the role may not do this", "grant it CREATE on the schema, or SELECT and INSERT on its tables"),
    }

    def fault(error: DBAPIError) -> StoreError:
        state = getattr(error.orig, "sqlstate", None)
        if state is None:
            return StoreError(
                f"the server cannot be reached: {_first_line(error)}", where=where, fix=f"start it, or {_ANOTHER}"
            )
        if state.startswith("XX"):
            return TamperError(f"the database is damaged: {_first_line(error)}", where=where, fix=_A_COPY)
        what, fix = words.get(state, (_first_line(error), "look at the server's log, then run again"))
        return StoreError(what, where=where, fix=fix)

    return fault


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).partition("\n")[0]
