"""The store as its users see it, on SQLite and PostgreSQL: runs, entries, checkpoints, proofs, threads."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine, event

from hauberk.core.encoding import canonical
from hauberk.core.errors import StoreError, UnknownName, UsageError
from hauberk.core.evidence import Skipped
from hauberk.core.protocols import Store
from hauberk.crypto import checkpoints, merkle
from hauberk.stores.records import Count, RunFinished, RunHeader


def test_every_kind_of_entry_reads_back_as_it_was(log, header, every_kind):
    with log.open() as store:
        kept: Store = store
        store.begin(header())
        receipt = kept.append("run-1", every_kind)
        assert tuple(kept.entries("run-1")) == every_kind
    assert (receipt.first, receipt.size) == (1, 6)
    with log.open(read_only=True) as store:
        assert tuple(store.entries("run-1")) == every_kind
        assert store.verify().ok


def test_the_receipt_is_the_root_of_the_bytes_that_are_kept(filled):
    rows = filled.rows("SELECT data FROM evidence_entries ORDER BY idx")
    tree = merkle.Tree(merkle.leaf_hash(bytes(data)) for (data,) in rows)
    with filled.open() as store:
        receipt = store.append("run-2", [])
        head = store.head()
    assert (receipt.first, receipt.size, receipt.root) == (14, 14, tree.root().hex())
    assert (head.size, head.root) == (14, tree.root().hex())
    sizes = [size for (size,) in filled.rows("SELECT size FROM evidence_checkpoints ORDER BY size")]
    assert sizes == [0, 1, 4, 7, 8, 9, 13, 14]


def test_a_leaf_binds_place_and_run(filled):
    with filled.open(read_only=True) as store:
        leaves = store.leaves("run-2")
    assert [(leaf.index, leaf.run) for leaf in leaves] == [(index, "run-2") for index in range(8, 14)]
    assert isinstance(leaves[0].entry, RunHeader)
    (data,) = filled.rows("SELECT data FROM evidence_entries WHERE idx = 8")[0]
    assert bytes(data) == canonical(leaves[0])
    assert bytes(data).endswith(b',"index":8,"run":"run-2"}')


def test_runs_newest_first(filled):
    with filled.open(read_only=True) as store:
        newest, oldest = store.runs()
    assert (newest.run, newest.finished, newest.status, newest.first) == ("run-2", False, "", 8)
    assert (oldest.run, oldest.finished, oldest.status, oldest.project) == ("run-1", True, "met", "digits")
    assert oldest.counts == (
        Count(kind="checkpoint", number=3),
        Count(kind="run_begun", number=1),
        Count(kind="run_finished", number=1),
        Count(kind="skipped", number=3),
    )


def test_a_run_goes_on_after_it_was_finished(filled, header, gap):
    with filled.open() as store:
        store.begin(header("run-1"))
        assert store.find("run-1").finished is False
        store.append("run-1", [gap("later")])
        store.finish("run-1", "not met")
        summary = store.find("run-1")
        assert [entry.subject for entry in store.entries("run-1") if isinstance(entry, Skipped)][-1] == "later"
        assert isinstance(store.leaves("run-1")[-1].entry, RunFinished)
        assert [run.run for run in store.runs()] == ["run-2", "run-1"]
    assert (summary.finished, summary.status, summary.first) == (True, "not met", 0)
    assert filled.verify().ok


def test_a_run_that_was_never_begun_takes_nothing(filled, gap):
    with filled.open() as store:
        with pytest.raises(StoreError, match='"run-3" was never begun'):
            store.append("run-3", [gap("x")])
        assert store.head().size == 14


@pytest.mark.parametrize("name", ["", "a b", 'x"', "a/b", "-x", "x" * 65, "läuft", "x\n"])
def test_a_run_needs_a_plain_name(sqlite_log, header, name):
    with sqlite_log.open() as store, pytest.raises(StoreError, match="cannot name a run"):
        store.begin(header(name))


def test_the_newest_checkpoint_of_each_part_across_runs(filled):
    with filled.open(read_only=True) as store:
        assert [(mark.part, mark.state) for mark in store.checkpoints_of("work")] == [
            (0, "state-0"),
            (1, "newer"),
            (2, "state-2"),
        ]
        assert store.checkpoints_of("other") == ()


def test_find_a_run(filled):
    with filled.open(read_only=True) as store:
        assert store.find("latest").run == "run-2"
        assert store.find("run-1").run == "run-1"
        with pytest.raises(UnknownName, match="2 runs begin"):
            store.find("run")
        with pytest.raises(UnknownName, match='no run "rnu-1"') as caught:
            store.find("rnu-1")
        assert "run-1" in caught.value.fix
        with pytest.raises(UnknownName):
            store.find("")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_entry_that_would_not_read_back_is_refused_with_its_batch(log, header, gap, every_kind, value):
    with log.open() as store:
        store.begin(header())
        broken = msgspec.structs.replace(every_kind[1], value=value)
        with pytest.raises(StoreError, match="measurement cannot be kept"):
            store.append("run-1", [gap("first"), broken])
        with pytest.raises(StoreError, match="skipped cannot be kept"):
            store.append("run-1", [gap("lone surrogate \ud800")])
        assert list(store.entries("run-1")) == []
        store.append("run-1", [gap("then")])
        assert store.verify().ok


def test_every_checkpoint_is_signed_and_chained(filled):
    with filled.open(read_only=True) as store:
        key, head = store.identity.key, store.head()
    rows = filled.rows("SELECT data FROM evidence_checkpoints ORDER BY size")
    signed = [msgspec.json.decode(bytes(data), type=checkpoints.SignedCheckpoint) for (data,) in rows]
    assert all(checkpoints.is_signed_by(one, key) for one in signed)
    assert [one.previous for one in signed] == ["", *(checkpoints.digest(one) for one in signed[:-1])]
    assert signed[-1] == head
    assert filled.head.read_bytes() == canonical(head)


def test_every_entry_and_every_checkpoint_can_be_proved(filled):
    with filled.open(read_only=True) as store:
        for index in range(14):
            proof = store.prove_inclusion(index)
            leaf, path = merkle.leaf_hash(proof.data.encode()), [bytes.fromhex(step) for step in proof.path]
            assert merkle.verify_inclusion(leaf, index, 14, path, bytes.fromhex(proof.checkpoint.root))
        for size in (1, 4, 7, 8, 9, 13, 14):
            proved = store.prove_consistency(size)
            roots = bytes.fromhex(proved.old.root), bytes.fromhex(proved.checkpoint.root)
            assert merkle.verify_consistency(size, 14, *roots, [bytes.fromhex(step) for step in proved.path])


def test_what_is_not_there_cannot_be_proved(filled):
    with filled.open(read_only=True) as store:
        for index in (-1, 14, 2**62):
            with pytest.raises(UsageError, match=f"no entry {index}"):
                store.prove_inclusion(index)
        for size in (-1, 0, 5, 15):
            with pytest.raises(UsageError, match=f"no checkpoint was made at {size}") as caught:
                store.prove_consistency(size)
        assert "14" in caught.value.fix


def test_a_batch_of_1000_is_a_handful_of_statements(log, header, gap):
    statements = []

    def count(connection, cursor, statement, *_):
        statements.append(statement)

    with log.open() as store:
        store.begin(header())
        event.listen(Engine, "before_cursor_execute", count)
        try:
            receipt = store.append("run-1", [gap(str(index)) for index in range(1000)])
        finally:
            event.remove(Engine, "before_cursor_execute", count)
        assert receipt.size == 1001
        assert len(statements) <= 12
        assert store.verify().ok


def test_threads_share_a_store(log, header, gap):
    with log.open() as store:
        store.begin(header())
        with ThreadPoolExecutor(6) as pool:
            receipts = list(pool.map(lambda name: store.append("run-1", [gap(name)] * 2), "abcdefghijkl"))
        assert sorted(receipt.size for receipt in receipts) == list(range(3, 26, 2))
        assert store.verify().ok
        assert len(list(store.entries("run-1"))) == 24


def test_append_while_reading(log, header, gap):
    with log.open() as store:
        store.begin(header())
        store.append("run-1", [gap("a"), gap("b")])
        for entry in store.entries("run-1"):
            store.append("run-1", [entry])
        assert [entry.subject for entry in store.entries("run-1")] == ["a", "b", "a", "b"]


def test_a_reader_sees_what_an_open_writer_has_acknowledged(log, header, gap):
    with log.open() as writer:
        writer.begin(header())
        with log.open(read_only=True) as reader:
            writer.append("run-1", [gap("a")])
            assert [entry.subject for entry in reader.entries("run-1")] == ["a"]
            assert reader.verify().ok


def test_reading_makes_no_file(filled):
    before = sorted(path.relative_to(filled.folder) for path in filled.folder.rglob("*"))
    with filled.open(read_only=True) as store:
        assert store.verify().ok
        assert len(list(store.entries("run-1"))) == 6
        store.runs(), store.head(), store.prove_inclusion(0), store.prove_consistency(4)
        assert sorted(path.relative_to(filled.folder) for path in filled.folder.rglob("*")) == before
        with pytest.raises(StoreError, match="opened to be read"):
            store.append("run-1", [])
    assert sorted(path.relative_to(filled.folder) for path in filled.folder.rglob("*")) == before


def test_reading_where_nothing_was_kept_makes_no_file(log):
    with pytest.raises(StoreError, match="no evidence has been kept here"):
        log.open(read_only=True)
    assert list(log.folder.iterdir()) == []


def test_a_relative_path_is_relative_to_the_project(sqlite_log, header, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with sqlite_log.open() as store:
        store.begin(header())
    assert sqlite_log.file.is_file()
    assert sorted(path.name for path in sqlite_log.file.parent.iterdir()) == ["evidence.db", "evidence.head", "keys"]


def test_the_triggers_refuse_to_change_what_was_kept(filled):
    forbidden = [
        "UPDATE evidence_entries SET run = 'run-2' WHERE idx = 1",
        "DELETE FROM evidence_entries",
        "DELETE FROM evidence_checkpoints",
        "UPDATE evidence_checkpoints SET size = 99 WHERE size = 14",
        "DELETE FROM evidence_runs",
        "UPDATE evidence_meta SET value = '2' WHERE name = 'schema'",
    ]
    if filled.kind == "sqlite":
        forbidden += ["INSERT OR REPLACE INTO evidence_checkpoints SELECT 13, data FROM evidence_checkpoints LIMIT 1"]
    else:
        forbidden += ["TRUNCATE evidence_entries"]
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    for statement in forbidden:
        with pytest.raises(DBAPIError, match="append-only"), filled.connect() as connection:
            connection.execute(text(statement))
    assert filled.verify().ok


def test_the_floors_below_load_no_database():
    code = (
        "import sys, hauberk.core.project, hauberk.core.protocols, hauberk.crypto.checkpoints, hauberk.crypto.merkle;"
        "print('sqlalchemy' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_a_url_reads_the_environment(filled, monkeypatch, clock):
    from hauberk.stores.evidence import open_store

    url = filled.url
    monkeypatch.setenv("HAUBERK_STORE", url)
    for spelled in ("$HAUBERK_STORE", "${HAUBERK_STORE}"):
        with open_store(spelled, filled.folder, read_only=True) as store:
            assert store.head().size == 14
    monkeypatch.delenv("HAUBERK_STORE")
    with pytest.raises(UsageError, match="no HAUBERK_STORE"):
        open_store("$HAUBERK_STORE", filled.folder, read_only=True)


@pytest.mark.parametrize(
    "url", ["mysql://host/db", "sqlite://", "sqlite:///:memory:", "evidence.db", "", "postgresql+x"]
)
def test_a_url_that_names_no_place_is_refused(tmp_path, url):
    from hauberk.stores.evidence import open_store

    with pytest.raises(UsageError) as caught:
        open_store(url, tmp_path)
    assert "sqlite:///" in caught.value.fix
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_odd_characters(clock, tmp_path, header):
    from hauberk.stores.evidence import open_store

    folder = tmp_path / "a b%20?#é"
    folder.mkdir()
    with open_store("sqlite:///.hauberk/evidence.db", folder, clock=clock) as store:
        store.begin(header())
    with open_store("sqlite:///.hauberk/evidence.db", Path(folder), read_only=True) as store:
        assert store.verify().ok
