"""A log on SQLite and on PostgreSQL, and an attacker who edits it behind the store's back."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

from hauberk.core.evidence import Checkpoint, Exhibit, Finding, Location, Measurement, Provenance, Skipped
from hauberk.stores.evidence import EvidenceStore, RunHeader, open_store

DEFAULT = "postgresql://root@127.0.0.1:5432/test"
HOW = "start PostgreSQL, or set HAUBERK_TEST_POSTGRES=postgresql://…, or install initdb and pg_ctl"
TABLES = ("evidence_meta", "evidence_runs", "evidence_entries", "evidence_checkpoints")
STAMP = Provenance(tool="hauberk", version="0.1.0", recipe="test", time="2026-11-23T12:00:00+00:00")


def pytest_collection_modifyitems(items):
    for item in items:
        if "log" in getattr(item, "fixturenames", ()) and "postgresql" in item.name.partition("[")[2]:
            item.add_marker(pytest.mark.postgres)


# --- a PostgreSQL server


def _answers(url: str) -> bool:
    import psycopg

    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.Error:
        return False
    return True


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _account() -> str | None:
    """Name the account a server may run as: initdb refuses root."""
    if os.geteuid():
        return pwd.getpwuid(os.geteuid()).pw_name
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


def _private_server(folder: Path):
    """Start a server of our own; yields its URL and stops it."""
    binaries, account = _binaries(), _account()
    if binaries is None or account is None:
        pytest.skip(HOW)
    shutil.chown(folder, account)
    data, port = folder / "data", _free_port()
    plain = {"user": account} if not os.geteuid() else {}
    run = {"check": True, "cwd": folder, "capture_output": True, **plain}
    subprocess.run([binaries / "initdb", "-D", data, "-A", "trust", "-U", "root", "-E", "UTF8"], **run)
    options = f"-c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -p {port}"
    control = [binaries / "pg_ctl", "-D", data, "-l", folder / "log", "-w"]
    subprocess.run(
        [*control, "-o", options, "start"], **(run | {"capture_output": False, "stdout": subprocess.DEVNULL})
    )
    try:
        yield f"postgresql://root@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **run)


@pytest.fixture(scope="session")
def server():
    """The URL of a PostgreSQL server on this machine."""
    pytest.importorskip("psycopg", reason=HOW)
    asked = os.environ.get("HAUBERK_TEST_POSTGRES", "")
    url = asked if asked not in ("", "private") else DEFAULT
    if asked != "private" and _answers(url):
        yield url
        return
    if asked not in ("", "private"):
        pytest.fail(f"HAUBERK_TEST_POSTGRES does not answer: {asked}")
    with tempfile.TemporaryDirectory(prefix="hauberk-pg-") as folder:
        yield from _private_server(Path(folder))


# --- a log and its attacker


@dataclass
class Log:
    """A log's place, how to open it, and how to tamper with it."""

    kind: str
    url: str
    folder: Path
    clock: object
    copies: list[dict] = field(default_factory=list)

    @property
    def head(self) -> Path:
        return self.folder / ".hauberk" / ("evidence.head" if self.kind == "sqlite" else "postgresql.head")

    @property
    def key(self) -> Path:
        return self.folder / ".hauberk" / "keys" / "evidence.key"

    @property
    def file(self) -> Path:
        return self.folder / ".hauberk" / "evidence.db"

    def open(self, **options) -> EvidenceStore:
        return open_store(self.url, self.folder, clock=self.clock, **options)

    def verify(self):
        with self.open(read_only=True) as store:
            return store.verify()

    def connect(self):
        url = (
            f"sqlite:///{self.file}"
            if self.kind == "sqlite"
            else self.url.replace("postgresql:", "postgresql+psycopg:")
        )
        return create_engine(url, poolclass=NullPool).begin()

    @contextmanager
    def unguarded(self):
        """Connect as someone who owns the database: no trigger stops him, and he puts them back."""
        with self.connect() as connection:
            triggers = []
            if self.kind == "sqlite":
                query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
                triggers = connection.execute(text(query)).all()
                for name, _ in triggers:
                    connection.execute(text(f"DROP TRIGGER {name}"))
            else:
                connection.execute(text("SET LOCAL session_replication_role = replica"))
            yield connection
            tables = inspect(connection).get_table_names()
            for name, sql in triggers:
                if name.rpartition("_no_")[0] in tables:
                    connection.execute(text(sql))

    def attack(self, *statements: str, **values) -> None:
        """Execute SQL that no trigger stops."""
        with self.unguarded() as connection:
            for statement in statements:
                connection.execute(text(statement), values)

    def rows(self, query: str, **values) -> list[tuple]:
        with self.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), values)]

    def copy(self) -> None:
        """Keep a copy of the whole database."""
        self.copies.append({table: self.rows(f"SELECT * FROM {table}") for table in TABLES})

    def put_back(self) -> None:
        """Put the copy back, row for row."""
        with self.unguarded() as connection:
            for table in reversed(TABLES):
                connection.execute(text(f"DELETE FROM {table}"))
            for table, rows in self.copies[-1].items():
                names = [f"v{place}" for place in range(len(rows[0]))]
                insert = text(f"INSERT INTO {table} VALUES (:{', :'.join(names)})")
                connection.execute(insert, [dict(zip(names, row, strict=True)) for row in rows])


@pytest.fixture(params=["sqlite", "postgresql"])
def log(request, tmp_path, clock):
    """An empty place for a log, in a folder and (PostgreSQL) a schema of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    if request.param == "sqlite":
        yield Log("sqlite", "sqlite:///.hauberk/evidence.db", folder, clock)
        return
    import psycopg

    server, schema = request.getfixturevalue("server"), f"hauberk_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        yield Log("postgresql", f"{server}?options=-csearch_path%3D{schema}", folder, clock)
        connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def sqlite_log(tmp_path, clock):
    """An empty place for a log on SQLite."""
    folder = tmp_path / "project"
    folder.mkdir()
    return Log("sqlite", "sqlite:///.hauberk/evidence.db", folder, clock)


@pytest.fixture
def header():
    """Make a run's header."""

    def make(run="run-1", project="digits"):
        return RunHeader(
            run=run, project=project, command="hauberk check", started="2026-11-23T12:00:00", version="0.1.0"
        )

    return make


@pytest.fixture
def gap():
    """Make one entry that says `text`."""
    return lambda text: Skipped(subject=text, reason="not asked for", provenance=STAMP)


@pytest.fixture
def mark():
    """Make one checkpoint of long work."""
    return lambda step, part, state: Checkpoint(step=step, part=part, state=state, provenance=STAMP)


@pytest.fixture
def every_kind(gap, mark):
    """One entry of each kind, with what JSON finds hard."""
    return (
        Finding(
            rule="model.pickle_call", severity="critical", confidence="high",
            location=Location(path="models/模型.pkl", part="archive/data.pkl", offset=2**53),
            message='calls os.system("…\\n\u0000\u2028\U0001f480")', fix="use safetensors", provenance=STAMP,
        ),
        Measurement(
            name="robust_accuracy", subject="net", value=0.1 + 0.2, low=5e-324, high=1.7976931348623157e308, level=0.95,
            method="wilson", n=500, unit="1", better="higher", provenance=STAMP,
        ),
        gap('"run":"run-2"}'),
        Exhibit(
            subject="net", threat="linf", layout="row", shape=(2,), bounds=(0.0, 1.0), clean=bytes(range(8)),
            adversarial=b"\xff" * 8, label="3", predicted_clean="3", predicted_adversarial="8", distance=0.03,
            norm="Linf", provenance=STAMP,
        ),
        mark("step", 0, '{"x":[1,2]}'),
    )  # fmt: skip


def _fill(log: Log, header, gap, mark) -> Log:
    """Keep two runs: 14 entries, checkpoints at 0, 1, 4, 7, 8, 9, 13 and 14; the first run is finished."""
    with log.open() as store:
        store.begin(header("run-1"))
        store.append("run-1", [gap(f"one-{index}") for index in range(3)])
        store.append("run-1", [mark("work", part, f"state-{part}") for part in range(3)])
        store.finish("run-1", "met")
        store.begin(header("run-2"))
        store.append("run-2", [gap(f"two-{index}") for index in range(4)])
        store.append("run-2", [mark("work", 1, "newer")])
    assert log.verify().ok
    return log


@pytest.fixture
def filled(log, header, gap, mark):
    """A log of two runs."""
    return _fill(log, header, gap, mark)


@pytest.fixture
def filled_sqlite(sqlite_log, header, gap, mark):
    """A log of two runs on SQLite."""
    return _fill(sqlite_log, header, gap, mark)
