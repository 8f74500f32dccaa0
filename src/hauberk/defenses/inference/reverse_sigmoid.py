"""Reverse sigmoid: probabilities are bent so that they mislead who learns from them."""

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

_EDGE = 1e-7
"""Probabilities are kept so far from 0 and 1 under the logarithm."""
_LEAD = 1e-6
"""What the likeliest class is put ahead by where bending would have moved it."""


@dataclass(frozen=True, slots=True)
class ReverseSigmoid:
    """Take from every probability y β · (σ(γ · σ⁻¹(y)) − 1/2), then let the row sum to 1 again.

    Falls to: whoever has the weights, who climbs the scores behind it; and to attacks by decision alone.
    beta: how much it bends. gamma: how steeply. The likeliest class stays: where bending would move it, it is put back.
    """

    card: ClassVar[Card] = Card(
        title="Reverse sigmoid",
        summary="Bends probabilities so that a thief learns the wrong model; decisions stay.",
        paper="Lee et al. 2018, arXiv:1806.00054, section III",
        needs=("scores",),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row", "wave", "frames", "tokens"),
        threats=("AML.T0024", "AML.T0043", "OWASP-ML05"),
        extra="models",
    )

    beta: float = 0.4
    gamma: float = 0.2

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
        """Return the target with bent answers.

        Raises MissingPower for labels only, UsageError for a β or γ that is not above 0.
        """
        if self.beta <= 0 or self.gamma <= 0:
            raise UsageError(f"beta is {self.beta:g} and gamma {self.gamma:g}", fix="choose both above 0")
        beta, gamma = self.beta, self.gamma

        def bent(chances: Tensor) -> Tensor:
            y = chances.clamp(_EDGE, 1 - _EDGE)
            moved = (chances - beta * ((gamma * (y.log() - (-y).log1p())).sigmoid() - 0.5)).clamp(min=0)
            top = chances.argmax(1, keepdim=True)
            best = moved.amax(1, keepdim=True).maximum(moved.gather(1, top)) + _LEAD
            moved = moved.scatter(1, top, best)
            return moved / moved.sum(1, keepdim=True)

        return transformed(target, "reverse sigmoid", Transformation(after=bent), rng)
