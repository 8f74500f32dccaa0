"""Free adversarial training: one gradient moves the weights and the input alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import cross_entropy

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.inner_maximisation import Inner, ascend, onward
from hauberk.defenses.labelled import Labelled
from hauberk.defenses.student import Student
from hauberk.defenses.training_driver import train
from hauberk.defenses.training_plan import DEFAULT, Lesson, Training
from hauberk.defenses.training_task import Task


@dataclass(frozen=True, slots=True)
class FreeAdversarialTraining:
    """Replay each batch, and let every backward pass serve both sides.

    Shafahi et al. 2019, arXiv:1904.12843, algorithm 1. Each batch begins at a random point of its ball, where the paper
    goes on from the last batch's move: so a resumed run is the same. An epoch here is `replays` passes. Breaks where
    the threat is another than the one trained on, and needs more care with few replays than PGD.

    replays: steps on each batch (the paper's m). pace: of a move, in radii.
    """

    card: ClassVar[Card] = Card(
        title="Free adversarial training",
        summary="Adversarial training at the cost of plain training, by replaying each batch; when time is short.",
        paper="Shafahi et al. 2019, arXiv:1904.12843",
        needs=("gradients", "module"),
        norms=("linf", "l2"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    replays: int = 8
    pace: float = 0.5
    training: Training = DEFAULT

    def apply(
        self,
        target: Target,
        data: Split,
        threat: Threat,
        rng: torch.Generator,
        *,
        attack: EvasionAttack,
        progress: Progress,
    ) -> Target:
        """Return a target like this one, trained so; raises what `train` raises."""
        return train(self, Task(target, data, threat, attack), rng, progress=progress).target

    def lesson(self, student: Student) -> Lesson:
        """Descend at the moved points, then move them by the same gradient."""
        moving = _Moving(student, self.pace)
        return Lesson(moving.loss, after=moving.move, repeats=self.replays)


class _Moving:
    """A batch whose points go on from replay to replay."""

    def __init__(self, student: Student, pace: float) -> None:
        self._student, self._pace = student, pace
        self._batch: Labelled | None = None
        self._point = torch.empty(0)

    def loss(self, batch: Labelled) -> torch.Tensor:
        """Score the points as they are; a new batch begins at random ones."""
        if batch is not self._batch:
            start = Inner(0)
            self._batch, self._point = batch, ascend(torch.sum, self._student.region(batch.x), self._student.rng, start)
        self._point = self._point.detach().requires_grad_(True)
        return cross_entropy(self._student.logits(self._point), batch.y)

    def move(self) -> None:
        """Move by the gradient that the step of the weights left behind."""
        assert self._batch is not None
        slope = self._point.grad
        if slope is not None:
            self._point = onward(self._point.detach(), slope, self._student.region(self._batch.x), self._pace)
