"""Adversarial training: go on training on the worst inputs found within the threat's set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch.nn.functional import cross_entropy

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.inner_maximisation import Inner
from hauberk.defenses.labelled import Labelled
from hauberk.defenses.quickened_attack import quick
from hauberk.defenses.student import Student
from hauberk.defenses.training_driver import train
from hauberk.defenses.training_plan import DEFAULT, Lesson, Training
from hauberk.defenses.training_task import Task
from hauberk.defenses.weight_perturbation import perturbing


@dataclass(frozen=True, slots=True)
class AdversarialTraining:
    """Minimise the loss on adversarial instead of clean inputs.

    Madry et al. 2018, arXiv:1706.06083, section 2. The state with the best robust accuracy on a held-out part of the
    training data is kept, since robust accuracy falls again with longer training (Rice et al. 2020, arXiv:2002.11569,
    section 3). Breaks where the threat is another than the one trained on: a larger ball, another norm.

    steps: gradients a training input takes (Madry et al. use 7). inner: "pgd", a plain loop in the threat's ball, or
    "attack", the attack given, which also trains against patches and transformations.
    weight_radius: share of each layer's norm its weights are moved by towards a higher loss before the step (AWP, Wu
    et al. 2020, arXiv:2004.05884); 0 for none.
    """

    card: ClassVar[Card] = Card(
        title="Adversarial training",
        summary="Trains on attacked inputs; the most reliable defence against evasion, at some cost in clean accuracy.",
        paper="Madry et al. 2018, arXiv:1706.06083; early stopping: Rice et al. 2020, arXiv:2002.11569",
        needs=("gradients", "module"),
        norms=("linf", "l2", "l1", "l0"),
        sets=("constraints", "patch", "transform"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    steps: int = 7
    inner: Literal["pgd", "attack"] = "pgd"
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
        """Return a target like this one, trained on adversarial inputs; raises what `train` raises."""
        return train(self, Task(target, data, threat, attack), rng, progress=progress).target

    def lesson(self, student: Student) -> Lesson:
        """Descend cross-entropy at the points found."""
        given = quick(student.attack, self.steps)
        own = self.inner == "pgd" and student.whole.kind == "ball"

        def harder(batch: Labelled) -> torch.Tensor:
            return student.climbed(batch, Inner(self.steps)) if own else student.attacked(batch, given)

        def loss(batch: Labelled, x: torch.Tensor) -> torch.Tensor:
            return cross_entropy(student.logits(x), batch.y)

        return perturbing(student, harder, loss, self.weight_radius)
