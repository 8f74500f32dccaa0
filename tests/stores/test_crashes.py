"""Processes that are killed, and processes that write at once, on SQLite and PostgreSQL."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time

import pytest

from hauberk.crypto import merkle

WRITER = """
import sys
from pathlib import Path
from hauberk.core.evidence import Provenance, Skipped
from hauberk.stores.evidence import RunHeader, open_store

url, folder, run, appends = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
stamp = Provenance(tool="hauberk", version="0.1.0", recipe="test", time="now")
with open_store(url, folder) as store:
    print("open", flush=True)
    sys.stdin.readline()
    store.begin(RunHeader(run=run, project="p", command="c", started="now", version="0.1.0"))
    for number in range(appends):
        batch = [Skipped(subject=f"{number}.{place}", reason="r" * 500, provenance=stamp) for place in range(5)]
        receipt = store.append(run, batch)
        print(receipt.size, receipt.root, flush=True)
"""


def writer(log, run: str, appends: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, log.url, str(log.folder), run, str(appends)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def subjects(store, run: str) -> list[str]:
    return [entry.subject for entry in store.entries(run)]


def test_kill_9_loses_nothing_that_was_acknowledged(log):
    """Three writers on one log, one after the other, each killed at some moment of its life."""
    rng, acknowledged = random.Random(9), 0
    for number in range(3):
        run = f"run-{number}"
        process = writer(log, run, 100_000)
        process.stdout.readline()
        process.stdin.write("go\n")
        process.stdin.flush()
        mine = 0
        for _ in range(rng.randrange(1, 40)):
            acknowledged, mine = int(process.stdout.readline().split()[0]), mine + 5
        time.sleep(rng.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().splitlines()
        process.wait()
        if rest and len(rest[-1].split()) == 2 and len(rest[-1].split()[1]) == 64:
            acknowledged, mine = int(rest[-1].split()[0]), mine + 5 * len(rest)
        found = log.verify()
        assert found.ok, found
        assert found.size >= acknowledged
        with log.open(read_only=True) as store:
            kept = subjects(store, run)
        assert len(kept) >= mine - 5
        assert len(kept) % 5 == 0, "a batch is kept whole or not at all"
        assert kept == [f"{n}.{place}" for n in range(len(kept) // 5) for place in range(5)]
    with log.open() as store:
        store.finish("run-2", "broken off")
        assert store.verify().ok


def test_two_processes_write_to_one_log_at_once(log):
    """Both begin the log, both append: nothing is lost, and every root either saw is a root of the one log."""
    first, second = writer(log, "run-a", 25), writer(log, "run-b", 25)
    for process in (first, second):
        assert process.stdout.readline() == "open\n"
    receipts = []
    for process in (first, second):
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in (first, second):
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        receipts.append([line.split() for line in output.splitlines()])
    found = log.verify()
    assert found.ok, found
    assert found.size == 2 * (1 + 25 * 5)
    tree = merkle.Tree(bytes(leaf) for (leaf,) in log.rows("SELECT leaf FROM evidence_entries ORDER BY idx"))
    for lines in receipts:
        sizes = [int(size) for size, _ in lines]
        assert len(sizes) == 25
        assert sizes == sorted(set(sizes))
        assert all(tree.root(int(size)).hex() == root for size, root in lines)
    expected = [f"{number}.{place}" for number in range(25) for place in range(5)]
    with log.open(read_only=True) as store:
        assert subjects(store, "run-a") == subjects(store, "run-b") == expected
        assert store.head().size == found.size
    assert f'"size":{found.size}'.encode() in log.head.read_bytes()


def test_killed_between_commit_and_witness(log, header, gap, monkeypatch):
    """The witness lags by one append: nothing is wrong, and the next append catches up."""
    from hauberk.stores import witness

    def killed(path, checkpoint):
        raise KeyboardInterrupt

    with log.open() as store:
        store.begin(header())
        with monkeypatch.context() as patch:
            patch.setattr(witness, "write", killed)
            with pytest.raises(KeyboardInterrupt):
                store.append("run-1", [gap("a")])
    assert b'"size":1' in log.head.read_bytes()
    assert log.verify().ok
    with log.open() as store:
        assert store.append("run-1", [gap("b")]).size == 3
        assert [entry.subject for entry in store.entries("run-1")] == ["a", "b"]


def test_killed_between_the_birth_of_a_log_and_its_witness(log, header):
    with log.open():
        pass
    log.head.unlink()
    assert log.verify().ok
    with log.open() as store:
        store.begin(header())
    assert log.verify().ok
