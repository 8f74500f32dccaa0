"""What a training defense says of itself: its plan, and the lesson it gives; the driver does the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

import torch

from hauberk.core.card import Card
from hauberk.defenses.labelled import Labelled
from hauberk.defenses.student import Student

Loss: TypeAlias = Callable[[Labelled], torch.Tensor]
"""A batch → its mean loss under autograd."""


@dataclass(frozen=True, slots=True)
class Training:
    """How to train, whatever the defense.

    epochs: passes over the data. budget: seconds of training, held-out measurements included; then epochs do not count
    and learning rate and radius follow the time. 0: none. batch: samples a step.
    learning_rate: of Adam at its peak; it rises for the first tenth and falls along a cosine. weight_decay: decoupled,
    on matrices only. warm: start from the target's own weights, else from fresh ones.
    ramp: share of training during which the radius grows from 0 to the threat's; a fragile model asked for all at
    once may collapse to one class. held_out: share of samples kept to choose the best state.
    patience: epochs without improvement, after the ramp, that end training; 0 for never. Under a budget, also a
    quarter of it must have passed.
    precision: of the search for training points: "auto" takes bfloat16 where it is native and clearly faster; a name
    fixes it, which a result to be repeated on another machine needs. Weights and their gradients are float32 always.
    workers: processes that share every batch (`hauberk harden` and `train_together`); one that dies is replaced and all
    go on from the last checkpoint.
    average: how far back, as a share of the steps so far, the mean of the weights reaches that is measured and kept; 0
    for the weights themselves (Izmailov et al. 2018, arXiv:1803.05407; it counters robust overfitting).
    """

    epochs: int = 15
    budget: float = 0.0
    batch: int = 64
    learning_rate: float = 5e-3
    weight_decay: float = 1e-3
    warm: bool = True
    ramp: float = 0.3
    held_out: float = 0.1
    patience: int = 6
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    workers: int = 1
    average: float = 0.05


DEFAULT = Training()


@dataclass(frozen=True, slots=True)
class Lesson:
    """One defense at work in one run.

    loss: of a batch; it may raise Derailed. after: called once the gradient is there, before the step. repeats: steps
    on each batch. judge: which of a held-out part (n,) a
    module answers so that they count as robust; None to attack them.
    keep: the "best" state on held-out samples, or the "last" one, where the defense claims no gain that an attack on
    the weights as they are could see. memory: numbers the lesson itself changes, kept in checkpoints.
    """

    loss: Loss
    after: Callable[[], None] | None = None
    repeats: int = 1
    judge: Callable[[torch.nn.Module, Labelled], torch.Tensor] | None = None
    keep: Literal["best", "last"] = "best"
    memory: dict[str, float] = field(default_factory=dict)


class Derailed(Exception):
    """Training went wrong in a way that going back to the last good state mends; the message says how."""


@runtime_checkable
class Teaching(Protocol):
    """A defense that trains; its file holds no more than this."""

    card: ClassVar[Card]

    @property
    def training(self) -> Training:
        """How to train."""
        ...

    def lesson(self, student: Student) -> Lesson:
        """Begin a run; the student's module still has the target's own weights."""
        ...


class Keeper(Protocol):
    """Where a run's checkpoint is kept. every: seconds between two of them; 0 for one after each epoch."""

    @property
    def every(self) -> float:
        """Seconds between two checkpoints."""
        ...

    def load(self) -> bytes | None:
        """Return the checkpoint to go on from, or None to begin anew."""
        ...

    def save(self, state: bytes) -> None:
        """Keep a checkpoint whole or not at all; raises StoreError where there is no room, the old one stays then."""
        ...
