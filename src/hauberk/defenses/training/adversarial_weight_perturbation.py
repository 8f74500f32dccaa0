"""Adversarial weight perturbation: flat in the weights, too."""

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
class AdversarialWeightPerturbation:
    """TRADES at the weights nearby that make it worst.

    Wu et al. 2020, arXiv:2004.05884, TRADES-AWP: a flatter loss over the weights closes the gap between training and
    test robustness. Other defenses here take the same as their setting weight_radius. Costs one more gradient a step.
    Breaks where the threat is another than the one trained on.

    radius: share of each matrix' norm (the paper's gamma). beta, steps: of TRADES.
    """

    card: ClassVar[Card] = Card(
        title="Adversarial weight perturbation",
        summary="TRADES at perturbed weights: against robust overfitting, where there is time for many epochs.",
        paper="Wu et al. 2020, arXiv:2004.05884",
        needs=("gradients", "module"),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    radius: float = 0.005
    beta: float = 6.0
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
        """Descend TRADES where the weights are a little worse."""

        def harder(batch: Labelled) -> torch.Tensor:
            return diverging(student, batch, self.steps)

        def loss(batch: Labelled, x: torch.Tensor) -> torch.Tensor:
            clean, moved = student.logits(batch.x), student.logits(x)
            return cross_entropy(clean, batch.y) + self.beta * divergence(clean, moved).mean()

        return perturbing(student, harder, loss, self.radius)
