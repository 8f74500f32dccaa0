"""Mixup: train between samples; a baseline, not a defense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import cross_entropy

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.labelled import Labelled
from hauberk.defenses.mixing import drawn_share, partners
from hauberk.defenses.student import Student
from hauberk.defenses.training_driver import train
from hauberk.defenses.training_plan import DEFAULT, Lesson, Training
from hauberk.defenses.training_task import Task


@dataclass(frozen=True, slots=True)
class Mixup:
    """Train on mixtures of two inputs and of their labels.

    Zhang et al. 2018, arXiv:1710.09412. It smooths the network between samples and withstands FGSM a little; iterated
    attacks break it as they break plain training.

    alpha: of the Beta distribution of the share.
    """

    card: ClassVar[Card] = Card(
        title="Mixup",
        summary="A baseline: trains between samples; withstands one-step attacks a little, iterated ones not.",
        paper="Zhang et al. 2018, arXiv:1710.09412",
        needs=("gradients", "module"),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    alpha: float = 0.4
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
        """Descend the cross-entropy of mixtures."""

        def loss(batch: Labelled) -> torch.Tensor:
            share, other = drawn_share(self.alpha), partners(batch, student.rng)
            scores = student.logits(torch.lerp(other.x, batch.x, share))
            return share * cross_entropy(scores, batch.y) + (1 - share) * cross_entropy(scores, other.y)

        return Lesson(loss, keep="last")
