"""Certified training by CROWN-IBP: linear bounds in the beginning, intervals in the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.certified_loss import box_now, grown, lines_loss, mixed, proven
from hauberk.defenses.labelled import Labelled
from hauberk.defenses.student import Student
from hauberk.defenses.training_driver import train
from hauberk.defenses.training_plan import Lesson, Training
from hauberk.defenses.training_task import Task

SLOW = Training(epochs=40, learning_rate=1e-2, weight_decay=0.0, warm=False, ramp=0.6, patience=0)
"""Bounds through weights of plain training are so wide that nothing is learned: fresh ones, and a slow ramp."""


@dataclass(frozen=True, slots=True)
class CrownIbp:
    """Train so that interval bounds prove robustness, led there by tighter ones.

    Zhang et al. 2020, arXiv:1906.06316: interval bounds of an untrained network are so wide that they teach little; the
    last bound is pulled back by CROWN's lines first, and the intervals take over while the radius grows. What is proven
    holds against every attack in the ball; nothing is promised outside. For chains of layers, as in a Sequential;
    others are refused (MissingPower).

    clean: weight of clean cross-entropy at the end, 0–1 (the paper's κ). lines: share of CROWN's lines at the end, 0–1
    (the paper's β); 1 in the beginning.
    """

    card: ClassVar[Card] = Card(
        title="CROWN-IBP",
        summary="Certified training that begins with linear bounds; steadier than intervals alone, for chains.",
        paper="Zhang et al. 2020, arXiv:1906.06316",
        needs=("gradients", "module"),
        norms=("linf",),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    clean: float = 0.5
    lines: float = 0.0
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
            share = 1 - (1 - self.lines) * grown(student)
            bounded = lines_loss(student, box_now(student, batch.x), batch.y, share)
            return mixed(student, batch, bounded, self.clean)

        return Lesson(loss, judge=proven(student))
