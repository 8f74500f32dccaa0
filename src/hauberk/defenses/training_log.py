"""What a training run did: how far it got, why it ended, and how the held-out part fared."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
import torch

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


State: TypeAlias = dict[str, torch.Tensor]


class Trained:
    """The target that came out, the log of how, and its weights by the names the given target's module has."""

    def __init__(self, target: Target, log: Log, state: State) -> None:
        self.target, self.log, self.state = target, log, state


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during hardening; `best` is the best target so far, which the caller may still save and measure."""

    def __init__(self, best: Target, state: State | None = None) -> None:
        super().__init__("hardening was interrupted")
        self.best, self.state = best, state or {}
