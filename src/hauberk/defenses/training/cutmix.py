"""CutMix: paste a rectangle of one image into another; a baseline, not a defense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import cross_entropy

from hauberk.core.card import Card
from hauberk.core.errors import MissingPower
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.labelled import Labelled
from hauberk.defenses.mixing import drawn_share, partners
from hauberk.defenses.student import Student
from hauberk.defenses.training_driver import train
from hauberk.defenses.training_plan import DEFAULT, Lesson, Training
from hauberk.defenses.training_task import Task


@dataclass(frozen=True, slots=True)
class CutMix:
    """Train on images with a rectangle from another one, the labels mixed by area.

    Yun et al. 2019, arXiv:1905.04899, section 3. Images (n, c, h, w) only. A white-box attack breaks it as it breaks
    plain training.

    alpha: of the Beta distribution of the area that stays.
    """

    card: ClassVar[Card] = Card(
        title="CutMix",
        summary="A baseline for images: pastes parts of others; regularises, and falls to a white-box attack.",
        paper="Yun et al. 2019, arXiv:1905.04899",
        needs=("gradients", "module"),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    alpha: float = 1.0
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
        """Descend the cross-entropy of pasted images; raises MissingPower for inputs that are no images."""
        if student.data.x.ndim != 4:
            raise MissingPower("CutMix pastes images, these inputs are none", fix="use training.mixup")

        def loss(batch: Labelled) -> torch.Tensor:
            other = partners(batch, student.rng)
            x, share = _pasted(batch.x, other.x, drawn_share(self.alpha), student.rng)
            scores = student.logits(x)
            return share * cross_entropy(scores, batch.y) + (1 - share) * cross_entropy(scores, other.y)

        return Lesson(loss, keep="last")


def _pasted(x: torch.Tensor, other: torch.Tensor, share: float, rng: torch.Generator) -> tuple[torch.Tensor, float]:
    """Paste a rectangle of about 1 − share of the area about a random place; also return the area that stayed, 0–1."""
    height, width = x.shape[2:]
    part = (1 - share) ** 0.5
    cuts = []
    for side in (height, width):
        middle, half = int(torch.randint(side, (1,), generator=rng)), round(part * side) // 2
        cuts.append(slice(max(0, middle - half), min(side, middle + half)))
    pasted = x.clone()
    pasted[:, :, cuts[0], cuts[1]] = other[:, :, cuts[0], cuts[1]]
    area = (cuts[0].stop - cuts[0].start) * (cuts[1].stop - cuts[1].start)
    return pasted, 1 - area / (height * width)
