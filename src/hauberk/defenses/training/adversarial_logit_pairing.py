"""Adversarial logit pairing: a clean input and its attacked twin shall get the same logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import cross_entropy

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.inner_maximisation import Inner
from hauberk.defenses.labelled import Labelled
from hauberk.defenses.student import Student
from hauberk.defenses.training_driver import train
from hauberk.defenses.training_plan import DEFAULT, Lesson, Training
from hauberk.defenses.training_task import Task


@dataclass(frozen=True, slots=True)
class AdversarialLogitPairing:
    """Cross-entropy on clean and attacked inputs, and a pull of their logits towards each other.

    Kannan et al. 2018, arXiv:1803.06373, section 3.1, mixed-minibatch PGD. Its claim on ImageNet fell within weeks:
    against a longer attack little was left (Engstrom et al. 2018, arXiv:1807.10272); on small images it is adversarial
    training with another weight. It is here to be measured.

    weight: of the squared distance of logits. steps: gradients a training input takes.
    """

    card: ClassVar[Card] = Card(
        title="Adversarial logit pairing",
        summary="Pulls an input and its attacked twin to the same logits; its claim on ImageNet fell.",
        paper="Kannan et al. 2018, arXiv:1803.06373; broken: arXiv:1807.10272",
        needs=("gradients", "module"),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    weight: float = 0.5
    steps: int = 7
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
        """Descend both cross-entropies and the distance of logits."""

        def loss(batch: Labelled) -> torch.Tensor:
            x = student.climbed(batch, Inner(self.steps))
            clean, moved = student.logits(batch.x), student.logits(x)
            both = (cross_entropy(clean, batch.y) + cross_entropy(moved, batch.y)) / 2
            return both + self.weight * (clean - moved).square().mean()

        return Lesson(loss)
