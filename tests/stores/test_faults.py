"""What can go wrong around a log: full disk, read-only folder, locked or foreign database, lost server."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError

from hauberk.core.errors import StoreError, TamperError
from hauberk.stores import databases
from hauberk.stores.evidence import open_store

NOBODY = 65534


@contextmanager
def largest(pages: int):
    """Let no SQLite file grow beyond so many pages, as a full disk would."""

    def limit(connection, _):
        if isinstance(connection, sqlite3.Connection):
            connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(Engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(Engine, "connect", limit)


@contextmanager
def plain_user():
    """Act as a user whom permissions bind: root may write everywhere."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared_folder():
    """A folder that other users can reach, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="hauberk-"))
    folder.chmod(0o755)
    yield folder
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


def test_a_full_disk_loses_nothing_that_was_acknowledged(sqlite_log, header, gap):
    acknowledged = []

    def fill(store):
        for _ in range(10_000):
            acknowledged.append(store.append("run-1", [gap("x" * 1000)] * 20).size)

    with largest(60), sqlite_log.open() as store:
        store.begin(header())
        with pytest.raises(StoreError, match="the disk is full") as caught:
            fill(store)
        assert acknowledged
        assert caught.value.where == str(sqlite_log.file)
        assert "--resume" in caught.value.fix
        assert store.head().size == acknowledged[-1]
        assert store.verify().ok
    with sqlite_log.open() as store:
        assert store.append("run-1", [gap("there is room again")]).first == acknowledged[-1]
    assert sqlite_log.verify().size == acknowledged[-1] + 1


def test_a_full_disk_at_the_very_beginning(sqlite_log, header):
    with largest(2), pytest.raises(StoreError, match="the disk is full"):
        sqlite_log.open()
    with sqlite_log.open() as store:
        store.begin(header())
        assert store.verify().ok


def test_a_witness_that_cannot_be_written_is_said_at_the_end(log, header, gap, monkeypatch):
    from hauberk.stores import witness

    with log.open() as store:
        store.begin(header())

    def full(path, checkpoint):
        raise OSError(28, "No space left on device")

    store = log.open()
    with monkeypatch.context() as patch:
        patch.setattr(witness, "write", full)
        assert store.append("run-1", [gap("safe")]).size == 2
        with pytest.raises(StoreError, match="witness file could not be written: No space left") as caught:
            store.__exit__(None, None, None)
        assert caught.value.where == str(log.head)
    assert log.verify().ok
    with log.open() as store:
        assert store.append("run-1", [gap("next")]).size == 3
    assert b'"size":3' in log.head.read_bytes()


def test_a_folder_that_cannot_be_written(shared_folder, clock, sqlite_log, header):
    with sqlite_log.open() as store:  # loads what is loaded lazily, while we may read everything
        store.begin(header())
    shared_folder.chmod(0o555)
    with plain_user(), pytest.raises(StoreError, match="cannot be made: Permission denied") as caught:
        open_store("sqlite:///.hauberk/evidence.db", shared_folder, clock=clock)
    assert "[store] url" in caught.value.fix
    assert not (shared_folder / ".hauberk").exists()


def test_a_log_in_a_read_only_folder_is_read_and_not_written(shared_folder, clock, header, gap):
    url = "sqlite:///.hauberk/evidence.db"
    with open_store(url, shared_folder, clock=clock) as store:
        store.begin(header())
        store.append("run-1", [gap("a")])
    (shared_folder / ".hauberk" / "keys").chmod(0o555)
    for path in (shared_folder / ".hauberk" / "evidence.db", shared_folder / ".hauberk", shared_folder):
        path.chmod(0o444 if path.is_file() else 0o555)
    before = sorted(shared_folder.rglob("*"))
    with plain_user():
        with open_store(url, shared_folder, read_only=True) as store:
            assert store.verify().ok
            assert len(list(store.entries("run-1"))) == 1
        with pytest.raises(StoreError, match=r"read-only|cannot be opened") as caught:
            open_store(url, shared_folder, clock=clock)
    assert "writable" in caught.value.fix
    assert sorted(shared_folder.rglob("*")) == before


def test_a_key_open_to_others_stops_the_run(filled):
    filled.key.chmod(0o644)
    with pytest.raises(StoreError, match="others can reach the signing key"):
        filled.open()
    assert filled.verify().ok
    assert stat.S_IMODE(filled.key.stat().st_mode) == 0o644


def test_a_locked_database_is_waited_for_and_then_named(log, header, gap):
    with log.open(patience=0.2) as store:
        store.begin(header())
        with log.connect() as other:
            if log.kind == "sqlite":
                other.rollback()
                other.connection.execute("BEGIN IMMEDIATE")
            else:
                lock = "SELECT pg_advisory_xact_lock(hashtextextended('hauberk.evidence.' || current_schema(), 0))"
                other.execute(text(lock))
            with pytest.raises(StoreError, match=r"another process has written to the log for more than 0\.2 s"):
                store.append("run-1", [gap("a")])
            assert store.verify().ok
        assert store.append("run-1", [gap("a")]).size == 2


@pytest.mark.parametrize("read_only", [True, False])
def test_another_schema_version_is_named(filled, read_only):
    filled.attack("UPDATE evidence_meta SET value = '7' WHERE name = 'schema'")
    with pytest.raises(StoreError, match="written with schema 7; this hauberk reads schema 1") as caught:
        filled.open(read_only=read_only)
    assert "upgrade" in caught.value.fix


def test_a_table_that_is_gone_is_named(filled):
    filled.attack("DROP TABLE evidence_checkpoints")
    with pytest.raises(StoreError, match="lacks tables"):
        filled.open()


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_that_is_no_database(sqlite_log, read_only):
    sqlite_log.file.parent.mkdir()
    sqlite_log.file.write_bytes(b"not a database at all, " * 100)
    with pytest.raises(TamperError, match="not a database"):
        sqlite_log.open(read_only=read_only)


def test_someone_elses_database_is_left_as_it_is(sqlite_log, header):
    sqlite_log.file.parent.mkdir()
    with sqlite3.connect(sqlite_log.file) as connection:
        connection.execute("CREATE TABLE runs (x)")
        connection.execute("INSERT INTO runs VALUES (1)")
    with sqlite_log.open() as store:
        store.begin(header())
    assert sqlite_log.rows("SELECT x FROM runs") == [(1,)]


def test_a_folder_where_the_database_should_be(sqlite_log):
    sqlite_log.file.mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be opened"):
        sqlite_log.open()
    with pytest.raises(StoreError, match="no evidence has been kept here"):
        sqlite_log.open(read_only=True)


def test_a_run_that_writes_while_it_is_read_is_named(filled_sqlite, gap):
    """A server gives every reader a snapshot; a file that was told to be quiet does not."""
    reader = filled_sqlite.open(read_only=True)
    with pytest.raises(StoreError, match="wrote to the log while it was read"):
        _write_while_reading(reader, filled_sqlite, gap)


def _write_while_reading(reader, log, gap):
    with reader._snapshot(), log.open() as writer:
        writer.append("run-2", [gap("meanwhile")])


@pytest.mark.parametrize("read_only", [True, False])
def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path, read_only):
    pytest.importorskip("psycopg")
    url = "postgresql://someone:s3cret@127.0.0.1:1/evidence?connect_timeout=2"
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        open_store(url, tmp_path, read_only=read_only)
    assert "s3cret" not in str(caught.value)
    assert "127.0.0.1:1/evidence" in caught.value.where
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("state", "words"),
    [("53100", "disk is full"), ("55P03", "another process"), ("25006", "read-only"), ("42501", "may not do this"),
     ("XX001", "damaged"), (None, "cannot be reached"), ("22012", "said so")],
)  # fmt: skip
def test_what_a_server_says_in_our_words(state, words):
    original = Exception("the server said so\nand more")
    original.sqlstate = state
    fault = databases._postgresql_fault("postgresql://host/db", 30.0)(OperationalError("", {}, original))
    assert words in fault.what
    assert fault.fix
    assert isinstance(fault, TamperError) == (state == "XX001")
    assert "\n" not in fault.what


def test_a_missing_driver_is_named(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(Exception, match="psycopg is not installed"):
        open_store("postgresql://127.0.0.1/evidence", tmp_path)
