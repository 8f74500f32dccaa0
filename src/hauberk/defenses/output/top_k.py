"""Top-k answers: the likeliest classes, and nothing of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.transforming import Transformation, transformed

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class TopK:
    """Answer the k highest probabilities; the others become 0 and the row does not sum to 1.

    Falls to: attacks by decision, and to who learns from the k that are left. k: classes that keep their probability.
    """

    card: ClassVar[Card] = Card(
        title="Top-k answers",
        summary="Answers the likeliest classes only; hides what a thief reads from the small probabilities.",
        paper="Orekondy et al. 2019, arXiv:1812.02766, section 6",
        needs=("scores",),
        inputs=("chw", "row", "wave", "frames", "tokens"),
        threats=("AML.T0024", "AML.T0024.002", "OWASP-ML05"),
        extra="models",
    )

    k: int = 1

    def apply(
        self,
        target: Target,
        data: Split,  # noqa: ARG002
        threat: Threat,  # noqa: ARG002
        rng: torch.Generator,
        *,
        attack: EvasionAttack,  # noqa: ARG002
        progress: Progress,  # noqa: ARG002
    ) -> Target:
        """Return the target with changed answers; raises MissingPower for labels only, UsageError for bad settings."""
        if self.k < 1:
            raise UsageError(f"k is {self.k}", fix="choose 1 or more")
        k = self.k

        def highest(chances: Tensor) -> Tensor:
            best = chances.topk(min(k, chances.shape[1]), dim=1)
            return torch.zeros_like(chances).scatter(1, best.indices, best.values)

        return transformed(target, f"top {k}", Transformation(after=highest), rng)
