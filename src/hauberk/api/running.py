"""One run: pieces of work in turn, evidence kept as it comes, and where an interrupted run goes on."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from hauberk.core.encoding import canonical
from hauberk.core.errors import HauberkError, MissingPower, StoreError, UsageError
from hauberk.core.evidence import Checkpoint, Entry, Evidence, Skipped
from hauberk.core.protocols import Store
from hauberk.core.provenance import Stamp
from hauberk.core.report import Timing

WHOLE, BROKEN = -1, -2
"""Part numbers of the checkpoint that ends a piece's evidence: it is whole, or a fault or Ctrl-C broke it off."""

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
    """Sort a run's entries by the piece of work they belong to: evidence stands before the checkpoint that ends it."""
    whole: dict[str, tuple[Evidence, ...]] = {}
    parts: dict[str, dict[int, str]] = {}
    for step, part, state, evidence in pieces(entries):
        if part == WHOLE:
            whole[step] = evidence
        elif part >= 0:
            parts.setdefault(step, {})[part] = state
    return Earlier(whole, parts)


class Piece(NamedTuple):
    """A checkpoint of a run and the evidence that came since the one before."""

    step: str
    part: int
    state: str
    evidence: tuple[Evidence, ...]


def pieces(entries: Iterable[Entry]) -> Iterator[Piece]:
    """Cut a run's entries at its checkpoints."""
    pending: list[Evidence] = []
    for entry in entries:
        if isinstance(entry, Checkpoint):
            yield Piece(entry.step, entry.part, entry.state, tuple(pending))
            pending = []
        else:
            pending.append(entry)


class Run:
    """Carry out work, keep what it yields, and go on after faults; state at the rim, read when the work is done."""

    def __init__(self, name: str, store: Store, stamp: Stamp, before: Earlier = NOTHING) -> None:
        self.name = name
        self.evidence: list[Evidence] = []
        self.timings: list[Timing] = []
        self.steps: list[str] = []
        self.interrupted = False
        self.root = ""
        self._store, self._stamp, self._before = store, stamp, before
        self._lost: StoreError | None = None

    def carry_out(self, work: Work) -> None:
        """Do one piece of work, unless it is whole already; a fault or Ctrl-C becomes a Skipped beside what was got."""
        self.steps.append(work.key)
        if work.key in self._before.whole:
            self.evidence.extend(self._before.whole[work.key])
            return
        if self.interrupted:
            self._keep(work, [self._gap(work, "the run was stopped before it began", "interrupted")], BROKEN)
            return
        start = time.monotonic()
        got: list[Evidence] = []
        end = WHOLE
        try:
            for item in self._produce(work):
                got.append(item)
        except KeyboardInterrupt:
            end, self.interrupted = BROKEN, True
            if not any(isinstance(item, Skipped) and item.kind == "interrupted" for item in got):
                got.append(self._gap(work, "stopped by the user", "interrupted"))
        except MissingPower as error:
            got.append(self._gap(work, error.what, "power", error.fix))
        except UsageError:
            self._keep(work, got, BROKEN)
            raise
        except HauberkError as error:
            end = BROKEN
            got.append(self._gap(work, str(error).partition("\n")[0], "error", error.fix))
        if any(isinstance(item, Skipped) and item.kind == "error" for item in got):
            end = BROKEN
        self.timings.append(Timing(name=work.name, seconds=round(time.monotonic() - start, 3)))
        self._keep(work, got, end)

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

    def _keep(self, work: Work, got: list[Evidence], end: int) -> None:
        """Keep a piece's evidence and the checkpoint that ends it in one append: all or none."""
        self.evidence.extend(got)
        self._append([*got, Checkpoint(step=work.key, part=end, state="", provenance=self._stamp.of("run"))])

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

    def finish(self, end: Callable[[], object]) -> None:
        """Close the run in the store, unless the store was lost."""
        if self._lost is None and not self.interrupted:
            end()
