"""Rounded outputs: probabilities are answered with a few decimals."""

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
"""What a tied likeliest class is put ahead by, in probability: less than any decimals a service writes."""


@dataclass(frozen=True, slots=True)
class Rounding:
    """Round every probability to so many decimals; the likeliest class keeps its lead.

    Falls to: whoever has the weights, who climbs the scores behind it; and to attacks by decision alone.
    decimals: 0 answers no more than labels do.
    """

    card: ClassVar[Card] = Card(
        title="Rounded outputs",
        summary="Answers probabilities with few decimals, against theft and score-based search; decisions stay.",
        paper="Tramèr et al. 2016, arXiv:1609.02943, section 7",
        needs=("scores",),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row", "wave", "frames", "tokens"),
        threats=("AML.T0024", "AML.T0043", "OWASP-ML05"),
        extra="models",
    )

    decimals: int = 2

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
        """Return the target with rounded answers.

        Raises MissingPower for labels only, UsageError for a negative number.
        """
        if self.decimals < 0:
            raise UsageError(f"decimals is {self.decimals}", fix="choose 0 or more")
        ten = 10.0**self.decimals

        def coarse(chances: Tensor) -> Tensor:
            steps = (ten * chances).round()
            top = chances >= chances.amax(1, keepdim=True)
            # Two classes may round to the same value: the decision is kept, as a service that answers a label does.
            return steps / ten + torch.where(top, _LEAD, 0.0)

        return transformed(target, "rounded outputs", Transformation(after=coarse), rng)
