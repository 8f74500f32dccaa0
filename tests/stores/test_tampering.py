"""One test a way to tamper with a log, on SQLite and PostgreSQL: `verify` finds it and nothing is added on top."""

from __future__ import annotations

import random
import shutil
import sqlite3

import msgspec
import pytest

from hauberk.core.encoding import canonical
from hauberk.core.errors import StoreError, TamperError
from hauberk.crypto import checkpoints, merkle, signatures
from hauberk.crypto.checkpoints import SignedCheckpoint
from hauberk.stores.evidence import open_store


def problems(log) -> set[str]:
    found = log.verify()
    assert not found.ok
    assert all(problem.message for problem in found.problems)
    return {problem.kind for problem in found.problems}


def data_of(log, index: int) -> bytes:
    return bytes(log.rows("SELECT data FROM evidence_entries WHERE idx = :i", i=index)[0][0])


def checkpoint_of(log, size: int) -> SignedCheckpoint:
    data = log.rows("SELECT data FROM evidence_checkpoints WHERE size = :s", s=size)[0][0]
    return msgspec.json.decode(bytes(data), type=SignedCheckpoint)


def appending_is_refused(log, gap) -> None:
    with pytest.raises(TamperError), log.open() as store:
        store.append("run-2", [gap("on top")])


# --- flip


@pytest.mark.parametrize("place", [0, 30, -20, -2])
def test_a_flipped_byte_in_an_entry(filled, place):
    changed = bytearray(data_of(filled, 5))
    changed[place] ^= 1
    filled.attack("UPDATE evidence_entries SET data = :data WHERE idx = 5", data=bytes(changed))
    found = filled.verify()
    assert next(problem.index for problem in found.problems if problem.kind == "changed") == 5
    with filled.open(read_only=True) as store, pytest.raises(TamperError):
        list(store.entries("run-1"))


def test_a_changed_entry_with_its_hash_made_anew(filled, gap):
    changed = data_of(filled, 5).replace(b"state-1", b"state-9")
    assert changed != data_of(filled, 5)
    filled.attack(
        "UPDATE evidence_entries SET data = :data, leaf = :leaf WHERE idx = 5",
        data=changed,
        leaf=merkle.leaf_hash(changed),
    )
    found = filled.verify()
    assert [(problem.kind, problem.index) for problem in found.problems] == [("root", 7)]
    assert "entries 4 to 6" in found.problems[0].message
    appending_is_refused(filled, gap)
    with filled.open(read_only=True) as store:
        reads = [
            lambda: store.entries("run-2"),
            store.runs,
            lambda: store.checkpoints_of("work"),
            lambda: store.prove_inclusion(0),
            lambda: store.prove_consistency(4),
            store.adopt_head,
        ]
        for read in reads:
            with pytest.raises(TamperError, match="do not give the root"):
                read()


def test_a_flipped_byte_in_a_stored_hash(filled, gap):
    filled.attack("UPDATE evidence_entries SET leaf = :leaf WHERE idx = 2", leaf=merkle.leaf_hash(b"other"))
    assert problems(filled) == {"changed"}
    appending_is_refused(filled, gap)


def test_bytes_that_are_no_entry(filled):
    junk = b'{"entry":{"type":"nothing"},"index":2,"run":"run-1"}'
    filled.attack(
        "UPDATE evidence_entries SET data = :data, leaf = :leaf WHERE idx = 2", data=junk, leaf=merkle.leaf_hash(junk)
    )
    assert problems(filled) == {"unreadable", "root"}


@pytest.mark.parametrize("value", ["NULL", "'text'", "10000000000000", "1.5"])
def test_something_else_than_bytes(sqlite_log, header, gap, value):
    """SQLite keeps any type in any column, once the table's definition is changed."""
    with sqlite_log.open() as store:
        store.begin(header())
        store.append("run-1", [gap("a")])
    with sqlite3.connect(sqlite_log.file) as connection:
        connection.executescript(
            "DROP TRIGGER evidence_entries_no_UPDATE; PRAGMA writable_schema = ON;"
            "UPDATE sqlite_master SET sql = replace(sql, 'data BLOB NOT NULL', 'data BLOB');"
        )
    with sqlite3.connect(sqlite_log.file) as connection:
        connection.execute(f"UPDATE evidence_entries SET data = {value} WHERE idx = 1")
    connection.close()
    assert problems(sqlite_log) == {"damaged"}
    with sqlite_log.open(read_only=True) as store, pytest.raises(TamperError):
        list(store.entries("run-1"))


def test_an_entry_nested_without_end(filled):
    junk = b'{"entry":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b',"type":"finding"},"index":2,"run":"run-1"}'
    filled.attack(
        "UPDATE evidence_entries SET data = :data, leaf = :leaf WHERE idx = 2", data=junk, leaf=merkle.leaf_hash(junk)
    )
    assert problems(filled) == {"unreadable", "root"}


# --- delete


@pytest.mark.parametrize("index", [0, 5, 12])
def test_a_deleted_entry(filled, gap, index):
    filled.attack("DELETE FROM evidence_entries WHERE idx = :i", i=index)
    found = filled.verify()
    assert [problem.index for problem in found.problems if problem.kind == "missing"] == [index]
    appending_is_refused(filled, gap)


def test_a_deleted_entry_with_the_rest_moved_up(filled, gap):
    filled.attack(
        "DELETE FROM evidence_entries WHERE idx = 5",
        "UPDATE evidence_entries SET idx = -idx WHERE idx > 5",
        "UPDATE evidence_entries SET idx = -idx - 1 WHERE idx < 0",
    )
    assert problems(filled) == {"misplaced", "root", "truncated", "run"}
    appending_is_refused(filled, gap)


def test_a_deleted_checkpoint(filled):
    filled.attack("DELETE FROM evidence_checkpoints WHERE size = 7")
    assert problems(filled) == {"chain"}


def test_all_checkpoints_deleted(filled, gap):
    filled.attack("DELETE FROM evidence_checkpoints")
    assert problems(filled) == {"chain", "unsigned"}
    appending_is_refused(filled, gap)


def test_a_deleted_run(filled):
    filled.attack("DELETE FROM evidence_runs WHERE run = 'run-1'")
    assert problems(filled) == {"run"}


def test_the_whole_database_deleted(filled):
    if filled.kind == "sqlite":
        filled.file.unlink()
    else:
        filled.attack("DROP TABLE evidence_entries, evidence_runs, evidence_checkpoints, evidence_meta")
    with pytest.raises(TamperError, match="14 entries were seen") as caught:
        filled.open()
    assert "move" in caught.value.fix
    with pytest.raises(StoreError):
        filled.open(read_only=True)


# --- reorder


def test_two_reordered_entries(filled, gap):
    filled.attack(
        "UPDATE evidence_entries SET idx = -1 WHERE idx = 2",
        "UPDATE evidence_entries SET idx = 2 WHERE idx = 3",
        "UPDATE evidence_entries SET idx = 3 WHERE idx = -1",
    )
    found = filled.verify()
    assert [problem.index for problem in found.problems if problem.kind == "misplaced"] == [2, 3]
    assert "kept as entry 3" in found.problems[0].message
    appending_is_refused(filled, gap)


@pytest.mark.parametrize("change", ["run = 'run-2'", "kind = 'finding'", "step = 'another'"])
def test_an_entry_listed_elsewhere(filled, change):
    filled.attack(f"UPDATE evidence_entries SET {change} WHERE idx = 6")
    found = filled.verify()
    assert [(problem.kind, problem.index) for problem in found.problems] == [("changed", 6)]


def test_an_entry_moved_to_another_run_is_missed_by_its_own(filled):
    filled.attack("UPDATE evidence_entries SET run = 'run-2' WHERE idx = 6")
    with filled.open(read_only=True) as store:
        for run in ("run-1", "run-2"):
            with pytest.raises(TamperError, match="belongs to entry 6 of run run-1"):
                list(store.entries(run))


# --- truncate


def test_the_tail_cut_off_entries_and_checkpoints(filled, gap):
    filled.attack(
        "DELETE FROM evidence_checkpoints WHERE size > 9",
        "DELETE FROM evidence_entries WHERE idx >= 9",
    )
    assert problems(filled) == {"behind"}
    appending_is_refused(filled, gap)
    with filled.open(read_only=True) as store, pytest.raises(TamperError, match="cut off"):
        list(store.entries("run-1"))


def test_the_tail_cut_off_entries_only(filled, gap):
    filled.attack("DELETE FROM evidence_entries WHERE idx >= 13")
    assert problems(filled) == {"truncated"}
    appending_is_refused(filled, gap)


def test_the_tail_cut_off_checkpoints_only(filled, gap):
    filled.attack("DELETE FROM evidence_checkpoints WHERE size = 14")
    assert problems(filled) == {"unsigned", "behind"}
    appending_is_refused(filled, gap)


def test_everything_cut_off_but_the_first_checkpoint(filled, gap):
    filled.attack(
        "DELETE FROM evidence_checkpoints WHERE size > 0", "DELETE FROM evidence_entries", "DELETE FROM evidence_runs"
    )
    assert problems(filled) == {"behind"}
    appending_is_refused(filled, gap)
    assert problems(filled) == {"behind"}


def test_the_tail_cut_off_and_the_witness_taken_away(filled, gap):
    filled.attack("DELETE FROM evidence_checkpoints WHERE size > 9", "DELETE FROM evidence_entries WHERE idx >= 9")
    filled.head.unlink()
    assert problems(filled) == {"witness"}
    appending_is_refused(filled, gap)
    assert not filled.head.exists()


# --- replay


def test_an_old_copy_put_back(filled, gap):
    filled.copy()
    with filled.open() as store:
        store.append("run-2", [gap("after the copy")])
    filled.put_back()
    assert problems(filled) == {"behind"}
    appending_is_refused(filled, gap)


def test_an_earlier_entry_repeated_at_the_end(filled, gap):
    filled.attack(
        "INSERT INTO evidence_entries SELECT 14, run, kind, step, data, leaf FROM evidence_entries WHERE idx = 3"
    )
    assert problems(filled) == {"unsigned", "misplaced"}
    appending_is_refused(filled, gap)


def test_a_forged_entry_at_the_end(filled, gap):
    data = data_of(filled, 12).replace(b'"index":12', b'"index":14')
    filled.attack(
        "INSERT INTO evidence_entries SELECT 14, run, kind, step, :data, :leaf FROM evidence_entries WHERE idx = 12",
        data=data,
        leaf=merkle.leaf_hash(data),
    )
    assert problems(filled) == {"unsigned"}
    with filled.open(read_only=True) as store, pytest.raises(TamperError):
        list(store.entries("run-2"))


def test_a_checkpoint_repeated(filled):
    filled.attack("INSERT INTO evidence_checkpoints SELECT 20, data FROM evidence_checkpoints WHERE size = 14")
    assert {"chain"} <= problems(filled)


def test_another_log_of_the_same_key_put_in_place(filled_sqlite, gap, header, tmp_path, clock):
    log, other = filled_sqlite, tmp_path / "other"
    shutil.copytree(log.key.parent, other / ".hauberk" / "keys")
    with open_store(log.url, other, clock=clock) as store:
        store.begin(header("run-2"))
        for index in range(20):
            store.append("run-2", [gap(str(index))])
    (other / ".hauberk" / "evidence.db").replace(log.file)
    assert problems(log) == {"rewritten"}
    appending_is_refused(log, gap)


# --- sign


def forge(log, checkpoint: SignedCheckpoint, key) -> None:
    signed = checkpoints.sign(checkpoint, key)
    log.attack(
        "UPDATE evidence_checkpoints SET data = :data WHERE size = :size", data=canonical(signed), size=signed.size
    )


def test_a_checkpoint_signed_by_a_different_key(filled, gap):
    key = signatures.generate()
    forge(filled, msgspec.structs.replace(checkpoint_of(filled, 14), key=key.public.id), key)
    assert problems(filled) == {"signature", "rewritten"}
    appending_is_refused(filled, gap)


def test_a_different_key_under_the_old_name(filled, gap):
    forge(filled, checkpoint_of(filled, 14), signatures.generate())
    assert problems(filled) == {"signature", "rewritten"}
    appending_is_refused(filled, gap)


@pytest.mark.parametrize("size", [0, 7, 14])
def test_a_flipped_byte_in_a_signature(filled, size):
    checkpoint = checkpoint_of(filled, size)
    flipped = f"{int(checkpoint.signature[0], 16) ^ 1:x}{checkpoint.signature[1:]}"
    changed = canonical(msgspec.structs.replace(checkpoint, signature=flipped))
    filled.attack("UPDATE evidence_checkpoints SET data = :data WHERE size = :size", data=changed, size=size)
    assert {"signature"} <= problems(filled) <= {"signature", "chain", "rewritten"}


def test_a_checkpoint_that_cannot_be_read(filled):
    filled.attack("UPDATE evidence_checkpoints SET data = :data WHERE size = 7", data=b"\xff{")
    assert problems(filled) == {"signature"}


def test_history_rewritten_by_someone_who_has_the_key(filled, gap):
    """Entry 13 is written anew and signed with the stolen key: only what was seen before shows it."""
    key, head = signatures.load(filled.key), checkpoint_of(filled, 14)
    data = data_of(filled, 13).replace(b"newer", b"never")
    leaves = [bytes(leaf) for (leaf,) in filled.rows("SELECT leaf FROM evidence_entries ORDER BY idx")][:13]
    tree = merkle.Tree([*leaves, merkle.leaf_hash(data)])
    filled.attack(
        "UPDATE evidence_entries SET data = :data, leaf = :leaf WHERE idx = 13", data=data, leaf=merkle.leaf_hash(data)
    )
    forge(filled, msgspec.structs.replace(head, root=tree.root().hex()), key)
    assert problems(filled) == {"rewritten"}
    appending_is_refused(filled, gap)


def test_the_log_renamed(filled, gap):
    filled.attack("UPDATE evidence_meta SET value = 'hauberk/other' WHERE name = 'origin'")
    assert problems(filled) == {"origin"}
    appending_is_refused(filled, gap)


def test_a_new_public_key_beside_the_log(filled):
    filled.key.with_suffix(".pub").write_bytes(signatures.generate().public.pem())
    assert "signature" in problems(filled)
    with pytest.raises(StoreError, match="does not belong"):
        filled.open()


def test_a_new_key_pair_beside_the_log(filled):
    filled.key.unlink()
    filled.key.with_suffix(".pub").unlink()
    with pytest.raises(StoreError, match="signing key is missing"):
        filled.open()
    signatures.load_or_create(filled.key)
    with pytest.raises(TamperError, match="not signed by this project's key"):
        filled.open()


# --- the witness file


def test_a_witness_that_lags_is_in_order(filled, gap):
    filled.head.write_bytes(canonical(checkpoint_of(filled, 8)))
    assert filled.verify().ok
    with filled.open() as store:
        store.append("run-2", [gap("more")])
    assert filled.verify().ok
    assert b'"size":15' in filled.head.read_bytes()


def test_a_witness_of_another_key(filled):
    key = signatures.generate()
    filled.head.write_bytes(canonical(checkpoints.sign(checkpoint_of(filled, 14), key)))
    assert problems(filled) == {"witness"}


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[1]"])
def test_a_witness_that_is_no_checkpoint(filled, gap, content):
    filled.head.write_bytes(content)
    assert problems(filled) == {"witness"}
    appending_is_refused(filled, gap)


def test_a_log_moved_on_purpose_is_trusted_on_purpose(filled, gap):
    filled.head.unlink()
    appending_is_refused(filled, gap)
    with filled.open() as store:
        assert store.adopt_head().size == 14
        store.append("run-2", [gap("goes on")])
    assert filled.verify().ok


# --- the file itself


def test_no_flipped_byte_of_the_file_goes_unseen(sqlite_log, header, gap):
    """Whatever byte of the database changes: it is found, refused, or what is read is what was kept."""
    with sqlite_log.open() as store:
        store.begin(header())
        store.append("run-1", [gap(f"entry {index} " + "x" * 300) for index in range(40)])
        kept = tuple(store.entries("run-1"))
    whole, rng, seen = sqlite_log.file.read_bytes(), random.Random(5), 0
    for _ in range(100):
        flipped = bytearray(whole)
        flipped[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        sqlite_log.file.write_bytes(flipped)
        try:
            if sqlite_log.verify().ok:
                with sqlite_log.open(read_only=True) as store:
                    assert tuple(store.entries("run-1")) == kept
                continue
        except StoreError:
            pass
        seen += 1
    assert seen > 30
