"""One run: pieces of work in turn, evidence kept as it comes, and where an interrupted run goes on."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from hauberk.core.encoding import canonical
from hauberk.core.errors import HauberkError, MissingPower, StoreError
from hauberk.core.evidence import Checkpoint, Entry, Evidence, Skipped
from hauberk.core.protocols import Store
from hauberk.core.provenance import Stamp
from hauberk.core.report import Timing

DONE = -1
"""The part number of the checkpoint that says a piece of work is whole."""

States: TypeAlias = Mapping[int, str]


class Work(NamedTuple):
    """One piece of a run. key: changes with anything that could change its result. produce: earlier parts → entries."""

    name: str
    key: str
    produce: Callable[[States], Iterable[Entry]]


def key_of(*ingredients: object) -> str:
    """Digest what a piece of work's result depends on."""
    return hashlib.sha256(canonical(ingredients)).hexdigest()


class Earlier(NamedTuple):
    """What a run that goes on already has: evidence of whole pieces, parts of broken ones."""

    whole: dict[str, tuple[Evidence, ...]]
    parts: dict[str, dict[int, str]]


NOTHING = Earlier({}, {})


def earlier(entries: Iterable[Entry]) -> Earlier:
    """Sort a run's entries by the piece of work they belong to: evidence stands before its piece's DONE checkpoint."""
    whole: dict[str, tuple[Evidence, ...]] = {}
    parts: dict[str, dict[int, str]] = {}
    pending: list[Evidence] = []
    for entry in entries:
        if not isinstance(entry, Checkpoint):
            pending.append(entry)
        elif entry.part == DONE:
            whole[entry.step] = tuple(pending)
            pending = []
        else:
            parts.setdefault(entry.step, {})[entry.part] = entry.state
    return Earlier(whole, parts)


class Run:
    """Carry out work, keep what it yields, and go on after faults; state at the rim, read when the work is done."""

    def __init__(self, name: str, store: Store, stamp: Stamp, before: Earlier = NOTHING) -> None:
        self.name = name
        self.evidence: list[Evidence] = []
        self.timings: list[Timing] = []
        self.interrupted = False
        self.root = ""
        self._store, self._stamp, self._before = store, stamp, before
        self._lost: StoreError | None = None

    def carry_out(self, work: Work) -> None:
        """Do one piece of work, unless it is already whole.

        A fault or Ctrl-C becomes a Skipped beside what was measured.
        """
        if work.key in self._before.whole:
            self.evidence.extend(self._before.whole[work.key])
            return
        if self.interrupted:
            self._keep([self._gap(work, "the run was stopped before it began", "interrupted")])
            return
        start = time.monotonic()
        got: list[Evidence] = []
        whole = True
        try:
            for item in self._produce(work):
                got.append(item)
        except KeyboardInterrupt:
            whole, self.interrupted = False, True
            got.append(self._gap(work, "stopped by the user", "interrupted"))
        except MissingPower as error:
            got.append(self._gap(work, error.what, "power", error.fix))
        except HauberkError as error:
            whole = False
            got.append(self._gap(work, str(error).partition("\n")[0], "error", error.fix))
        self.timings.append(Timing(name=work.name, seconds=round(time.monotonic() - start, 3)))
        done = [Checkpoint(step=work.key, part=DONE, state="", provenance=self._stamp.of("run"))] if whole else []
        self._keep(got, done)

    def _produce(self, work: Work) -> Iterator[Evidence]:
        """Pass evidence on; put checkpoints into the store as they come."""
        for entry in work.produce(self._before.parts.get(work.key, {})):
            if isinstance(entry, Checkpoint):
                self._append([entry])
            else:
                yield entry

    def _gap(self, work: Work, reason: str, kind: str, fix: str = "") -> Skipped:
        remedy = fix or ("run `hauberk check --resume`" if kind == "interrupted" else "")
        return Skipped(subject=work.name, reason=reason, kind=kind, fix=remedy, provenance=self._stamp.of("run"))  # type: ignore[arg-type]

    def _keep(self, got: list[Evidence], done: list[Checkpoint] | None = None) -> None:
        self.evidence.extend(got)
        self._append([*got, *(done or [])])

    def _append(self, entries: list[Entry]) -> None:
        """Append to the store; where it fails the run goes on in memory and its report says so."""
        if not entries or self._lost:
            return
        try:
            self.root = self._store.append(self.name, entries).root
        except StoreError as error:
            self._lost = error
            self.evidence.append(
                Skipped(
                    subject="evidence store",
                    reason=f"could not keep what came after: {error.what}",
                    kind="error",
                    fix=error.fix,
                    provenance=self._stamp.of("run"),
                )
            )

    def note(self, step: str, state: str) -> None:
        """Keep one extra checkpoint, such as the report's envelope."""
        self._append([Checkpoint(step=step, part=0, state=state, provenance=self._stamp.of("run"))])
