"""Training for randomized smoothing: noisy inputs, attacked ones if wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import cross_entropy

from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.inner_maximisation import Inner, ascend
from hauberk.defenses.labelled import Labelled
from hauberk.defenses.student import Student
from hauberk.defenses.training_driver import train
from hauberk.defenses.training_plan import DEFAULT, Lesson, Training
from hauberk.defenses.training_task import Task


@dataclass(frozen=True, slots=True)
class GaussianAugmentation:
    """Train on noise as randomized smoothing will add it, so that the smoothed classifier is sure.

    Cohen et al. 2019, arXiv:1902.02918, section 3.2; with steps, SmoothAdv (Salman et al. 2019, arXiv:1906.04584,
    equation 6): the input is moved to where the mean answer under noise is worst. By itself it withstands little:
    certify or smooth what comes out (`hauberk list defenses`). Beyond the certified radius nothing is promised.

    sigma: deviation of the noise in input units; 0 for half the threat's l2 radius in l2, and its radius else.
    steps: gradients a training input is moved by; 0 for noise alone. draws: noisy copies that share an input's move.
    """

    card: ClassVar[Card] = Card(
        title="Gaussian augmentation",
        summary="Trains on noise so that randomized smoothing can certify the result; with steps, SmoothAdv.",
        paper="Cohen et al. 2019, arXiv:1902.02918; Salman et al. 2019, arXiv:1906.04584",
        needs=("gradients", "module"),
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    sigma: float = 0.0
    steps: int = 0
    draws: int = 1
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
        """Descend cross-entropy at noisy, perhaps moved inputs; raises UsageError without sigma and ball."""
        sigma = self.sigma or _usual(student.whole)

        def loss(batch: Labelled) -> torch.Tensor:
            many = Labelled(*(part.repeat_interleave(self.draws, 0) for part in batch))
            noise = sigma * torch.randn(many.x.shape, generator=student.rng).to(many.x)
            x = _moved(student, batch, noise, self.steps, self.draws) if self.steps else many.x
            return cross_entropy(student.logits(x + noise), many.y)

        return Lesson(loss, keep="last")


def _usual(threat: Threat) -> float:
    if threat.ball is None:
        raise UsageError(f"{threat.name} has no ball to take a noise from", fix="set sigma")
    return threat.ball.radius / 2 if threat.ball.norm == "l2" else threat.ball.radius


def _moved(student: Student, batch: Labelled, noise: torch.Tensor, steps: int, draws: int) -> torch.Tensor:
    """Move each input to where the mean probability of its label over its noisy copies is least."""
    with student.still() as module:

        def climb(x: torch.Tensor) -> torch.Tensor:
            chances: torch.Tensor = (
                module(x.repeat_interleave(draws, 0) + noise).softmax(1).reshape(len(x), draws, -1).mean(1)
            )
            own = chances.gather(1, batch.y.unsqueeze(1)).clamp(min=1e-12)
            return -own.log().sum()

        x = ascend(climb, student.region(batch.x), student.rng, Inner(steps, start="clean"))
    return x.repeat_interleave(draws, 0)
