"""Certified training by interval bounds: descend the worst that the bounds allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.certified_loss import bounded_loss, box_now, mixed, proven
from hauberk.defenses.labelled import Labelled
from hauberk.defenses.student import Student
from hauberk.defenses.training_driver import train
from hauberk.defenses.training_plan import Lesson, Training
from hauberk.defenses.training_task import Task

SLOW = Training(epochs=40, learning_rate=1e-2, weight_decay=0.0, warm=False, ramp=0.6, patience=0)
"""Bounds through weights of plain training are so wide that nothing is learned: fresh ones, and a slow ramp."""


@dataclass(frozen=True, slots=True)
class IntervalBoundPropagation:
    """Train so that interval bounds prove robustness.

    Gowal et al. 2018, arXiv:1810.12715: cross-entropy at the worst logits of the box around each ball, the clean one
    mixed in with a falling weight, the radius growing from 0. What is proven holds against every attack in the ball, at
    a high cost in clean accuracy; nothing is promised outside. In l2 the box is far larger than the ball: use linf.
    Raises MissingPower for layers without interval bounds.

    clean: weight of clean cross-entropy at the end, 0–1 (the paper's κ).
    """

    card: ClassVar[Card] = Card(
        title="Interval bound propagation",
        summary="Certified training: costs clean accuracy, and gives proofs that no attack in the ball can break.",
        paper="Gowal et al. 2018, arXiv:1810.12715",
        needs=("gradients", "module"),
        norms=("linf",),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    clean: float = 0.5
    training: Training = SLOW

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
        """Descend the bounded loss; a held-out sample counts when it is proven."""

        def loss(batch: Labelled) -> torch.Tensor:
            bounded = bounded_loss(student, box_now(student, batch.x), batch.y)
            return mixed(student, batch, bounded, self.clean)

        return Lesson(loss, judge=proven(student))
