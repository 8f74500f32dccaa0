"""TRADES: cross-entropy on clean inputs, and answers that change little anywhere in the ball."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import cross_entropy

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.divergence import divergence, diverging
from hauberk.defenses.labelled import Labelled
from hauberk.defenses.student import Student
from hauberk.defenses.training_driver import train
from hauberk.defenses.training_plan import DEFAULT, Lesson, Training
from hauberk.defenses.training_task import Task
from hauberk.defenses.weight_perturbation import perturbing


@dataclass(frozen=True, slots=True)
class Trades:
    """Trade clean accuracy for robustness by one weight.

    Zhang et al. 2019, arXiv:1901.08573, algorithm 1: cross-entropy at x plus beta · KL(f(x) ‖ f(x′)), with x′ where
    that divergence is largest. Breaks where the threat is another than the one trained on.

    beta: weight of the divergence; more is more robust and less accurate. steps: gradients a training input takes.
    weight_radius: as of adversarial training; 0 for none.
    """

    card: ClassVar[Card] = Card(
        title="TRADES",
        summary="Weighs clean accuracy against stability by one number; often a little ahead of adversarial training.",
        paper="Zhang et al. 2019, arXiv:1901.08573",
        needs=("gradients", "module"),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    beta: float = 6.0
    steps: int = 7
    weight_radius: float = 0.0
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
        """Descend cross-entropy and divergence."""

        def harder(batch: Labelled) -> torch.Tensor:
            return diverging(student, batch, self.steps)

        def loss(batch: Labelled, x: torch.Tensor) -> torch.Tensor:
            clean, moved = student.logits(batch.x), student.logits(x)
            return cross_entropy(clean, batch.y) + self.beta * divergence(clean, moved).mean()

        return perturbing(student, harder, loss, self.weight_radius)
