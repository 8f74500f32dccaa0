"""What a training run did: how far it got, why it ended, and how the held-out part fared."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from hauberk.core.protocols import Target

Ending: TypeAlias = Literal["epochs", "budget", "patience", "interrupted"]


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One look at the held-out part: after so many epochs, shares right under attack and without."""

    epoch: float
    robust: float
    clean: float


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The course of one run.

    epochs: passes done, a broken one counted in part. steps: of the optimiser. ending: why it stopped.
    seconds: of this run and of those it resumed. budget: seconds granted, 0 for none.
    held_out: samples kept to choose the state. history: looks at them, in order. best: index of the one kept.
    rollbacks: how often it went back to the last good state, and why each time.
    notes: what else a reader must know.
    """

    epochs: float
    steps: int
    ending: Ending
    seconds: float
    budget: float
    held_out: int
    history: tuple[Point, ...] = ()
    best: int = 0
    rollbacks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Trained:
    """The target that came out, and the log of how."""

    def __init__(self, target: Target, log: Log) -> None:
        self.target, self.log = target, log


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during hardening; `best` is the best target so far, which the caller may still save and measure."""

    def __init__(self, best: Target) -> None:
        super().__init__("hardening was interrupted")
        self.best = best
