"""Prediction poisoning: answers are moved to where a thief who learns from them is led away."""

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

_LEAD = 1e-6
"""What the likeliest class is put ahead by where poison would have moved it."""


@dataclass(frozen=True, slots=True)
class PredictionPoisoning:
    """Move each answer by `distortion` in L1 towards the class held least likely; the likeliest class stays ahead.

    Orekondy et al. 2020, arXiv:1906.10908, §4 (MAD-argmax): the answer whose gradient turns a thief's training farthest
    from the true one. For the gradient in his scores, which needs no guess of his network, that is the answer with the
    mass on the least likely class. Where the class would change, the move is cut to what keeps it.
    Falls to: attacks by decision, which lose nothing. distortion: L1 distance, above 0 and at most 2.
    """

    card: ClassVar[Card] = Card(
        title="Prediction poisoning (MAD, argmax kept)",
        summary="Spends a tolerated error of the probabilities on misleading a thief; the class stays.",
        paper="Orekondy et al. 2020, arXiv:1906.10908, section 4",
        needs=("scores",),
        inputs=("chw", "row", "wave", "frames", "tokens"),
        threats=("AML.T0024", "AML.T0024.002", "OWASP-ML05"),
        extra="models",
    )

    distortion: float = 1.0

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
        if not 0 < self.distortion <= 2:
            raise UsageError(f"the distortion is {self.distortion:g}", fix="choose above 0 and at most 2")
        reach = self.distortion / 2

        def poisoned(chances: Tensor) -> Tensor:
            top, least = chances.argmax(1, keepdim=True), chances.argmin(1, keepdim=True)
            goal = torch.zeros_like(chances).scatter(1, least, 1.0)
            # Going the share s towards the goal moves the answer by s · (1 − its least probability) in half of L1.
            far = (reach / (1 - chances.gather(1, least)).clamp_min(_LEAD)).clamp(max=1.0)
            gap = chances.gather(1, top) - chances.gather(1, least)
            share = torch.minimum(far, gap / (1 + gap) - _LEAD).clamp(min=0)
            return torch.where(top == least, chances, (1 - share) * chances + share * goal)

        return transformed(target, "prediction poisoning", Transformation(after=poisoned), rng)
