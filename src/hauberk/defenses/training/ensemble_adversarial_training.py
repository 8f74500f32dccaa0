"""Ensemble adversarial training: attacked inputs from still models as well as from the one that learns."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import cross_entropy

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.inner_maximisation import Inner, ascend
from hauberk.defenses.labelled import Labelled
from hauberk.defenses.student import Student
from hauberk.defenses.training_driver import train
from hauberk.defenses.training_plan import DEFAULT, Lesson, Training
from hauberk.defenses.training_task import Task, start_afresh


@dataclass(frozen=True, slots=True)
class EnsembleAdversarialTraining:
    """Train on one-step attacks of other models, which the learner cannot blunt by hiding its own gradient.

    Tramèr et al. 2018, arXiv:1705.07204, section 4. Meant against attackers who transfer from a model of their own; in
    white box iterated attacks break it (their section 4.1), so steps above 1 are there, too.

    models: still ones, the target as it is and freshly trained ones. epochs: of plain training each of those gets.
    steps: gradients a training input takes.
    """

    card: ClassVar[Card] = Card(
        title="Ensemble adversarial training",
        summary="Trains on attacks from other models; against those who transfer attacks, weaker in white box.",
        paper="Tramèr et al. 2018, arXiv:1705.07204",
        needs=("gradients", "module"),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    models: int = 3
    epochs: int = 4
    steps: int = 1
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
        """Descend cross-entropy at clean inputs and at points that each batch gets from one of the models."""
        still = _still_models(student, self.models, self.epochs, self.training)
        inner = Inner(self.steps)

        def loss(batch: Labelled) -> torch.Tensor:
            which = int(torch.randint(len(still) + 1, (1,), generator=student.rng))
            if which == len(still):
                x = student.climbed(batch, inner)
            else:
                where = student.region(batch.x)
                x = ascend(
                    lambda z: cross_entropy(still[which](z), batch.y, reduction="sum"), where, student.rng, inner
                )
            return (cross_entropy(student.logits(batch.x), batch.y) + cross_entropy(student.logits(x), batch.y)) / 2

        return Lesson(loss)


def _still_models(student: Student, models: int, epochs: int, plan: Training) -> list[torch.nn.Module]:
    """Return the target as it is and models trained plainly from fresh weights, all in evaluation mode."""
    still = [copy.deepcopy(student.module)]
    for _ in range(models - 1):
        module = copy.deepcopy(student.module).train()
        start_afresh(module)
        optimizer = torch.optim.Adam(module.parameters(), lr=plan.learning_rate / 2)
        for _ in range(epochs):
            order = torch.randperm(len(student.data.y), generator=student.rng)
            for batch in student.data.take(order).split(plan.batch):
                if len(batch.y) < 2:  # batch normalisation has no variance of one sample
                    continue
                optimizer.zero_grad()
                torch.autograd.backward(cross_entropy(module(batch.x.to(student.device)), batch.y.to(student.device)))
                optimizer.step()
        still.append(module)
    return [module.eval().requires_grad_(False) for module in still]
