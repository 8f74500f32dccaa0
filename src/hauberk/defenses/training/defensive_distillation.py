"""Defensive distillation: learn the soft answers of a hot teacher; falls to Carlini & Wagner."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import cross_entropy

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.labelled import Labelled
from hauberk.defenses.student import Student
from hauberk.defenses.training_driver import train
from hauberk.defenses.training_plan import DEFAULT, Lesson, Training
from hauberk.defenses.training_task import Task


@dataclass(frozen=True, slots=True)
class DefensiveDistillation:
    """Learn the target's own answers at a high temperature, and answer at temperature 1.

    Papernot et al. 2016, arXiv:1511.04508. Logits grow by the temperature, so that cross-entropy has no gradient in
    float32 and attacks that climb it see nothing. It removes no adversarial input: attacks on logits (Carlini & Wagner
    2017, arXiv:1608.04644, section VIII: 100 % success) break it as they break the model before; the examination here,
    whose attacks climb margins, shows so. The teacher is the target as it is; the paper trains one at the same
    temperature.

    temperature: at which the student learns (the paper's T).
    """

    card: ClassVar[Card] = Card(
        title="Defensive distillation",
        summary="Broken: hides gradients and falls to attacks on logits (Carlini & Wagner); here to be seen falling.",
        paper="Papernot et al. 2016, arXiv:1511.04508; broken by Carlini & Wagner 2017, arXiv:1608.04644",
        needs=("gradients", "module"),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    temperature: float = 20.0
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
        """Descend the cross-entropy of the student's soft answers by the teacher's."""
        teacher = copy.deepcopy(student.module).eval().requires_grad_(False)

        def loss(batch: Labelled) -> torch.Tensor:
            with torch.no_grad():
                soft = teacher(batch.x).softmax(1)
            return cross_entropy(student.logits(batch.x) / self.temperature, soft)

        return Lesson(loss, keep="last")
