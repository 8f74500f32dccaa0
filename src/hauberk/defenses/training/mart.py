"""MART: the points that are wrong already count for more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.divergence import divergence
from hauberk.defenses.inner_maximisation import Inner
from hauberk.defenses.labelled import Labelled
from hauberk.defenses.student import Student
from hauberk.defenses.training_driver import train
from hauberk.defenses.training_plan import DEFAULT, Lesson, Training
from hauberk.defenses.training_task import Task
from hauberk.defenses.weight_perturbation import perturbing


@dataclass(frozen=True, slots=True)
class Mart:
    """Weigh each sample's stability by how badly it is classified.

    Wang et al. 2020, ICLR (OpenReview rklOg6EFwS), equation 9: boosted cross-entropy at x′ (which also pushes down the
    best wrong class) plus beta · KL(f(x) ‖ f(x′)) · (1 − p_y(x)). Breaks where the threat is another than the one
    trained on; its gain over adversarial training shrinks under stronger attacks.

    beta: weight of the divergence. steps: gradients a training input takes. weight_radius: as of adversarial training.
    """

    card: ClassVar[Card] = Card(
        title="MART",
        summary="Adversarial training that looks harder at samples it still gets wrong.",
        paper="Wang et al. 2020, ICLR, OpenReview rklOg6EFwS",
        needs=("gradients", "module"),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    beta: float = 5.0
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
        """Descend the boosted cross-entropy and the weighted divergence."""

        def harder(batch: Labelled) -> torch.Tensor:
            return student.climbed(batch, Inner(self.steps))

        def loss(batch: Labelled, x: torch.Tensor) -> torch.Tensor:
            clean, moved = student.logits(batch.x), student.logits(x)
            doubt = 1 - clean.softmax(1).gather(1, batch.y.unsqueeze(1)).squeeze(1)
            return (_boosted(moved, batch.y) + self.beta * divergence(clean, moved) * doubt).mean()

        return perturbing(student, harder, loss, self.weight_radius)


def _boosted(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus −log(1 − p of the best wrong class) (n,); equation 6."""
    column = y.unsqueeze(1)
    logs = torch.log_softmax(logits, 1)
    rival = logs.scatter(1, column, -torch.inf).amax(1)
    # log(1 − p) by log1p keeps its slope where p is near 1; the bound keeps it finite at 1.
    return -logs.gather(1, column).squeeze(1) - torch.log1p(-rival.exp().clamp(max=1 - 1e-6))
