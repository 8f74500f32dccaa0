"""Label smoothing: never be quite sure; a baseline, not a defense."""

from __future__ import annotations

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
class LabelSmoothing:
    """Train on clean inputs with labels that leave a share to the other classes.

    Szegedy et al. 2016, arXiv:1512.00567, section 7. It shrinks gradients and so blunts weak attacks (FGSM, DeepFool
    without steps); a full attack breaks it as it breaks plain training.

    smoothing: share spread over all classes, 0–1.
    """

    card: ClassVar[Card] = Card(
        title="Label smoothing",
        summary="A baseline without attacks: blunts weak attacks by small gradients, falls to a full one.",
        paper="Szegedy et al. 2016, arXiv:1512.00567, section 7",
        needs=("gradients", "module"),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    smoothing: float = 0.1
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
        """Descend cross-entropy with smoothed labels at clean inputs."""

        def loss(batch: Labelled) -> torch.Tensor:
            return cross_entropy(student.logits(batch.x), batch.y, label_smoothing=self.smoothing)

        return Lesson(loss, keep="last")
