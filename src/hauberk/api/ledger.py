"""The privacy ledger: what was released of each data set, kept in the evidence store across runs.

Lines are checkpoints of a step named after the data's digest; a run that dies leaves its reservation, counted in full.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from hauberk.core.encoding import canonical, decode
from hauberk.core.errors import UsageError
from hauberk.core.evidence import Checkpoint, Entry, Measurement, Provenance
from hauberk.core.privacy_events import Event, Relation, Spend
from hauberk.defenses.private_defense import Account, Budget
from hauberk.defenses.private_spending import measured
from hauberk.numeric.accounting import Bound, epsilon
from hauberk.stores.evidence import EvidenceStore, RunHeader

STEP = "privacy-ledger:"
_PARTS = 2**31


class Total(NamedTuple):
    """All that was spent on one data set. bound: of everything together. open: runs that never settled."""

    spends: tuple[Spend, ...]
    bound: Bound
    relation: Relation
    open: int


def spends(kept: EvidenceStore, data: str) -> tuple[Spend, ...]:
    """Read the ledger of a data set, by its digest; raises TamperError where the log is not what was signed."""
    return tuple(decode(line.state, Spend) for line in kept.checkpoints_of(STEP + data))


def total(lines: Sequence[Spend], delta: float, group: int = 1) -> Total:
    """Compose everything that was spent, adaptively chosen or not, under the strictest relation any line names."""
    relation: Relation = "replace" if any(line.relation == "replace" for line in lines) else "add_or_remove"
    events = _merged(event for line in lines for event in line.events)
    bound = epsilon(events, delta, relation=relation, group=group)
    return Total(tuple(lines), bound, relation, sum(line.state == "reserved" for line in lines))


def _merged(events: Iterator[Event]) -> tuple[Event, ...]:
    """Add up equal releases: they compose quicker."""
    counts: dict[Event, int] = {}
    for event in events:
        plain = msgspec.structs.replace(event, count=1)
        counts[plain] = counts.get(plain, 0) + event.count
    return tuple(msgspec.structs.replace(event, count=count) for event, count in counts.items() if count)


class LedgerPurse:
    """Keeps the account of one data set in the store while a run spends on it.

    limit: ε over all runs, at `delta`; None where nobody set one.
    """

    def __init__(
        self,
        kept: EvidenceStore,
        data: str,
        run: str,
        provenance: Provenance,
        *,
        subject: str = "",
        what: str = "training",
        limit: float | None = None,
        delta: float | None = None,
        part: int | None = None,
    ) -> None:
        self._kept, self._data, self._run, self._provenance = kept, data, run, provenance
        self._subject, self._what, self._limit, self._delta = subject or data, what, limit, delta
        self._part = secrets.randbelow(_PARTS) if part is None else part

    def budget(self) -> Budget:
        """Say what may still be spent."""
        before = _merged(event for line in spends(self._kept, self._data) for event in line.events)
        return Budget(self._limit, self._delta, before)

    def reserve(self, account: Account) -> None:
        """Put the plan down; take it back and raise UsageError where, with all other runs, it is too much.

        Looked at after writing: of two runs that begin at once, each sees the other.
        """
        self._write(account, "reserved")
        if self._limit is None:
            return
        spent = total(spends(self._kept, self._data), self._delta or account.delta)
        if spent.bound.epsilon > self._limit * (1 + 1e-9):
            self.withdraw(account)
            raise UsageError(
                f"ε = {spent.bound.epsilon:.3f} would be spent on this data, {self._limit:g} is allowed",
                where=f"{len(spent.spends)} lines of the privacy ledger",
                fix="ask for less, raise [privacy] epsilon, or stop asking this data",
            )

    def withdraw(self, account: Account) -> None:
        """Take the reservation back."""
        self._write(account._replace(events=()), "spent")

    def settle(self, account: Account) -> Iterator[Entry]:
        """Put the cost down and give this run's ε and the sum of all runs'."""
        self._write(account, "spent")
        own = list(measured(account, self._subject, self._provenance))
        spent = total(spends(self._kept, self._data), self._delta or account.delta)
        note = f"{len(spent.spends)} releases of this data in the ledger; it knows the data by its digest alone"
        whole = account._replace(
            events=_merged(e for line in spent.spends for e in line.events), relation=spent.relation
        )
        sums = [
            msgspec.structs.replace(entry, note=f"{note}; {entry.note}")
            for entry in measured(
                whole._replace(delta=spent.bound.delta, mechanism="", notes=(), why="", sampling=""),
                self._subject,
                self._provenance,
                name="privacy_epsilon_total",
            )
            if entry.name == "privacy_epsilon_total"
        ]
        found: list[Measurement] = [*own, *sums]
        self._kept.append(self._run, found)
        yield from found

    def _write(self, account: Account, state: str) -> None:
        line = msgspec.convert(
            {
                "data": self._data,
                "what": self._what,
                "recipe": self._provenance.recipe,
                "run": self._run,
                "events": msgspec.to_builtins(account.events),
                "state": state,
                "relation": account.relation,
                "sampling": account.sampling,
                "noise_source": account.noise_source,
                "time": self._provenance.time,
            },
            Spend,
        )
        self._kept.append(
            self._run,
            [
                Checkpoint(
                    step=STEP + self._data,
                    part=self._part,
                    state=canonical(line).decode(),
                    provenance=self._provenance,
                )
            ],
        )


class StoredPurse:
    """A purse that opens the project's store for each act: nothing is held open while a model trains for hours.

    opened: opens the store. header: of the run, begun with the reservation. make: the purse on an open store.
    """

    def __init__(
        self,
        opened: Callable[[], EvidenceStore],
        header: RunHeader,
        make: Callable[[EvidenceStore], LedgerPurse],
    ) -> None:
        self._opened, self._header, self._make = opened, header, make

    def budget(self) -> Budget:
        """Say what may still be spent."""
        with self._opened() as kept:
            return self._make(kept).budget()

    def reserve(self, account: Account) -> None:
        """Begin the run in the log and put the plan down."""
        with self._opened() as kept:
            kept.begin(self._header)
            self._make(kept).reserve(account)

    def withdraw(self, account: Account) -> None:
        """Take the reservation back and end the run in the log."""
        with self._opened() as kept:
            self._make(kept).withdraw(account)
            kept.finish(self._header.run, "failed")

    def settle(self, account: Account) -> Iterator[Entry]:
        """Put the cost down and end the run in the log."""
        with self._opened() as kept:
            found = list(self._make(kept).settle(account))
            kept.finish(self._header.run, "done")
        yield from found
