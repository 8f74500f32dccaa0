"""Adaptive misinformation: unsure answers, which strange inputs get, are made wrong ones."""

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
class AdaptiveMisinformation:
    """Mix each answer with a wrong one, the more the less sure it is; sure answers stay as they are.

    Kariyappa & Qureshi 2020, arXiv:1911.07100, §4: α = 1 / (1 + exp(ν (max y − τ))). The wrong answer here is the same
    row with its ranks reversed, where the authors train a second network. Honest users pay on inputs the model is
    unsure of: their decisions change, which the measurement shows. Not for robustness.
    Falls to: a thief whose inputs look like the users'. threshold: τ, in (0, 1). steep: ν, above 0.
    """

    card: ClassVar[Card] = Card(
        title="Adaptive misinformation",
        summary="Answers wrongly where the model is unsure, as on a thief's strange inputs; costs honest users there.",
        paper="Kariyappa & Qureshi 2020, arXiv:1911.07100, section 4",
        needs=("scores",),
        inputs=("chw", "row", "wave", "frames", "tokens"),
        threats=("AML.T0024", "AML.T0024.002", "OWASP-ML05"),
        extra="models",
    )

    threshold: float = 0.6
    steep: float = 50.0

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
        if not 0 < self.threshold < 1 or self.steep <= 0:
            raise UsageError(
                f"the threshold is {self.threshold:g}, steep {self.steep:g}", fix="choose (0, 1) and above 0"
            )
        threshold, steep = self.threshold, self.steep

        def misled(chances: Tensor) -> Tensor:
            ranked = chances.sort(dim=1)
            wrong = torch.empty_like(chances).scatter(1, ranked.indices, ranked.values.flip(1))
            alpha = torch.sigmoid(steep * (threshold - chances.amax(1, keepdim=True)))
            return (1 - alpha) * chances + alpha * wrong

        return transformed(target, "adaptive misinformation", Transformation(after=misled), rng)
