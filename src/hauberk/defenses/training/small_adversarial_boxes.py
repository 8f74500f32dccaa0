"""Small adversarial boxes (SABR): bounds on a small box about an attacked point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.certified_loss import bounded_loss, box_now, mixed
from hauberk.defenses.inner_maximisation import Inner
from hauberk.defenses.labelled import Labelled
from hauberk.defenses.student import Student
from hauberk.defenses.training_driver import train
from hauberk.defenses.training_plan import Lesson, Training
from hauberk.defenses.training_task import Task
from hauberk.numeric.interval_bounds import Bounds

SLOW = Training(epochs=40, learning_rate=5e-3, weight_decay=0.0, warm=False, ramp=0.6, patience=0)
"""Bounds through weights of plain training are so wide that nothing is learned: fresh ones, and a slow ramp."""


@dataclass(frozen=True, slots=True)
class SmallAdversarialBoxes:
    """Propagate a small box around a bad point instead of the whole ball.

    Müller et al. 2023, arXiv:2210.04871: the box of a share of the radius that lies around an adversarial point inside
    the ball is regularised far less than the whole, which keeps more clean accuracy; tighter bounds than intervals are
    needed to prove what it gains (`hauberk list defenses`). The state kept is the one most robust under attack.

    share: of the radius that the box has, 0–1 (the paper's λ). steps: gradients of the search for its middle. clean:
    weight of clean cross-entropy at the end, 0–1.
    """

    card: ClassVar[Card] = Card(
        title="Small adversarial boxes (SABR)",
        summary="Certified training at less cost than intervals of the whole ball; prove it with linear bounds.",
        paper="Müller et al. 2023, arXiv:2210.04871",
        needs=("gradients", "module"),
        norms=("linf",),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    share: float = 0.3
    steps: int = 5
    clean: float = 0.0
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
        """Descend the bounded loss over the small box."""

        def loss(batch: Labelled) -> torch.Tensor:
            whole = box_now(student, batch.x)
            ball = student.threat.ball
            assert ball is not None
            reach = self.share * ball.radius
            x = student.climbed(batch, Inner(self.steps))
            # The middle is drawn in so far that the small box does not leave the ball.
            middle = x.clamp(batch.x - (ball.radius - reach), batch.x + (ball.radius - reach))
            box = Bounds((middle - reach).maximum(whole.lower), (middle + reach).minimum(whole.upper))
            return mixed(student, batch, bounded_loss(student, box, batch.y), self.clean)

        return Lesson(loss)
