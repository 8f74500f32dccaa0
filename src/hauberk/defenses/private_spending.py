"""Spend privacy on the record: reserve before a private defense runs, settle afterwards, also where it was stopped."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Protocol

import torch

from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.evidence import Entry, Measurement, Provenance
from hauberk.core.protocols import Progress, Split, Target
from hauberk.defenses.private_defense import UNLIMITED, Account, Budget, Private, PrivateDefense, applied
from hauberk.numeric.accounting import epsilon, guessing


class Purse(Protocol):
    """Who keeps the account of one data set."""

    def budget(self) -> Budget:
        """Say what may still be spent."""
        ...

    def reserve(self, account: Account) -> None:
        """Put down what a run may cost before it begins; raises UsageError where the budget forbids it."""
        ...

    def withdraw(self, account: Account) -> None:
        """Take the reservation back: the run was refused before it released anything."""
        ...

    def settle(self, account: Account) -> Iterator[Entry]:
        """Put down what it did cost, and give the evidence of it."""
        ...


class NoPurse:
    """Nobody keeps an account: the run's own ε is measured, nothing is added up over runs."""

    def __init__(self, provenance: Provenance, subject: str) -> None:
        self._provenance, self._subject = provenance, subject

    def budget(self) -> Budget:
        """Set no limit."""
        return UNLIMITED

    def reserve(self, account: Account) -> None:
        """Keep nothing."""

    def withdraw(self, account: Account) -> None:
        """Keep nothing."""

    def settle(self, account: Account) -> Iterator[Entry]:
        """Give the run's own ε and what it means."""
        yield from measured(account, self._subject, self._provenance)


def spend(
    defense: PrivateDefense,
    target: Target,
    data: Split,
    rng: torch.Generator,
    purse: Purse,
    progress: Progress,
) -> Generator[Entry, None, Target]:
    """Apply a private defense; the generator returns its target. Raises Interrupted where Ctrl-C stopped it."""
    private = yield from private_run(defense, target, data, rng, purse, progress)
    return applied(private)


def private_run(
    defense: PrivateDefense, target: Target, data: Split, rng: torch.Generator, purse: Purse, progress: Progress
) -> Generator[Entry, None, Private]:
    """Reserve, train and settle; the generator returns the private model with its account."""
    budget = purse.budget()
    planned = defense.planned(len(data.y), budget)
    purse.reserve(planned)
    try:
        private = defense.train(target, data, rng, budget=budget, progress=progress)
    except (MissingPower, UsageError):  # raised before the first release
        purse.withdraw(planned)
        raise
    yield from purse.settle(private.account)
    return private


def measured(
    account: Account, subject: str, provenance: Provenance, *, name: str = "privacy_epsilon"
) -> Iterator[Measurement]:
    """Give ε of an account, and the membership test nobody can beat. They are proven bounds from above."""
    bound = epsilon(account.events, account.delta, relation=account.relation)
    relation = {
        "add_or_remove": "one row more or less",
        "replace": "one row replaced",
        "zero_out": "one row set to zero",
    }
    note = "; ".join(
        part
        for part in (
            f"proven upper bound at δ = {account.delta:.3g} by {bound.method.upper()}, neighbours: "
            f"{relation[account.relation]}",
            account.sampling,
            account.mechanism,
            account.why,
            *account.notes,
        )
        if part
    )
    common = {"subject": subject, "n": account.rows, "provenance": provenance, "better": "lower", "level": 1.0}
    if bound.epsilon < float("inf"):
        yield _figure(name, bound.epsilon, "ε", note, common)
    most = guessing(account.events, account.delta, relation=account.relation)
    detail = f"no test of membership can do better; at 1 % false alarms it finds at most {most.rates[0.01]:.1%}"
    yield _figure(f"{name.partition('_')[0]}_advantage_bound", most.advantage, "TPR − FPR", detail, common)


def _figure(name: str, value: float, unit: str, note: str, common: dict[str, object]) -> Measurement:
    import msgspec

    fields = {"name": name, "value": value, "low": 0.0, "high": value, "method": "exact", "unit": unit, "note": note}
    return msgspec.convert(fields | {key: msgspec.to_builtins(held) for key, held in common.items()}, Measurement)
