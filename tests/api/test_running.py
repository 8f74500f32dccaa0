"""A run keeps what it got, whatever happens, and goes on where it was broken off."""

from __future__ import annotations

import pytest

from hauberk.api.running import BROKEN, WHOLE, Run, Work, earlier, key_of
from hauberk.core.errors import MissingPower, StoreError, TargetTimeout
from hauberk.core.evidence import Checkpoint, Skipped
from hauberk.core.protocols import Receipt
from hauberk.core.provenance import Stamp


class Memory:
    """A store in memory that can be full."""

    def __init__(self, room: int = 10**6) -> None:
        self.kept, self.room = [], room

    def append(self, run, entries):
        if len(self.kept) + len(entries) > self.room:
            raise StoreError("the disk is full", fix="make room")
        self.kept.extend(entries)
        return Receipt(first=0, size=len(self.kept), root=str(len(self.kept)))

    def entries(self, run):
        return iter(self.kept)


@pytest.fixture
def stamp(clock):
    return Stamp(clock=clock)


def gap(stamp, name):
    return Skipped(subject=name, reason="as planned", provenance=stamp.of("test"))


def part(stamp, step, number):
    return Checkpoint(step=step, part=number, state=f"state {number}", provenance=stamp.of("test"))


def test_evidence_and_the_end_of_a_piece_are_kept_in_one_append(stamp):
    store = Memory()
    run = Run("r", store, stamp)
    run.carry_out(Work("a", "ka", lambda _: [gap(stamp, "one"), part(stamp, "ka", 0), gap(stamp, "two")]))
    assert [row.subject for row in run.evidence] == ["one", "two"]
    assert [getattr(row, "part", row.__class__.__name__) for row in store.kept] == [0, "Skipped", "Skipped", WHOLE]
    assert run.root == "4"


def test_a_whole_piece_is_not_done_again(stamp):
    store = Memory()
    Run("r", store, stamp).carry_out(Work("a", "ka", lambda _: [gap(stamp, "one")]))
    again = Run("r", store, stamp, earlier(store.entries("r")))
    again.carry_out(Work("a", "ka", lambda _: pytest.fail("it was done already")))
    assert [row.subject for row in again.evidence] == ["one"]
    again.carry_out(Work("a", "another key", lambda _: [gap(stamp, "changed")]))
    assert [row.subject for row in again.evidence] == ["one", "changed"]


def test_a_broken_piece_gets_its_parts_back(stamp):
    store = Memory()

    def stopped(_):
        yield part(stamp, "ka", 0)
        yield gap(stamp, "half")
        raise KeyboardInterrupt

    run = Run("r", store, stamp)
    run.carry_out(Work("a", "ka", stopped))
    run.carry_out(Work("b", "kb", lambda _: pytest.fail("nothing is begun after Ctrl-C")))
    assert run.interrupted
    assert [(row.subject, row.kind) for row in run.evidence] == [
        ("half", "scope"),
        ("a", "interrupted"),
        ("b", "interrupted"),
    ]
    assert store.kept[-1].part == BROKEN
    seen = {}
    again = Run("r", store, stamp, earlier(store.entries("r")))
    again.carry_out(Work("a", "ka", lambda states: seen.update(states) or [gap(stamp, "whole")]))
    assert seen == {0: "state 0"}
    assert [row.subject for row in again.evidence] == ["whole"]


@pytest.mark.parametrize(
    ("fault", "kind", "end"),
    [(TargetTimeout("no answer in 2 s", fix="wait"), "error", BROKEN), (MissingPower("no gradient"), "power", WHOLE)],
)
def test_a_fault_becomes_a_gap_beside_what_was_got(stamp, fault, kind, end):
    store = Memory()

    def failing(_):
        yield gap(stamp, "before")
        raise fault

    run = Run("r", store, stamp)
    run.carry_out(Work("a", "ka", failing))
    assert [(row.subject, row.kind) for row in run.evidence] == [("before", "scope"), ("a", kind)]
    assert fault.what in run.evidence[-1].reason
    assert store.kept[-1].part == end


def test_a_full_disk_loses_no_evidence_of_this_run(stamp):
    run = Run("r", Memory(room=2), stamp)
    for name in "abc":
        run.carry_out(Work(name, name, lambda _, name=name: [gap(stamp, name)]))
    subjects = [row.subject for row in run.evidence]
    assert subjects == ["a", "b", "evidence store", "c"]
    assert "full" in run.evidence[2].reason
    run.finish(lambda: pytest.fail("a run whose store was lost is not finished in it"))


def test_a_bug_is_not_swallowed(stamp):
    def buggy(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Run("r", Memory(), stamp).carry_out(Work("a", "ka", buggy))


def test_keys_change_with_any_ingredient():
    assert key_of("a", 1) == key_of("a", 1)
    assert len({key_of("a", 1), key_of("a", 2), key_of("a1"), key_of("a", 1, None)}) == 4
