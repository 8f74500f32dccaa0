"""Label-only answers: the likeliest class and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.transforming import Transformation, transformed

SURE = 1.0 - 1e-6
"""Probability that the named class is answered with: the scores keep an order, and say nothing else."""


@dataclass(frozen=True, slots=True)
class LabelOnly:
    """Answer with the class alone: score-based membership attacks, theft by soft labels and inversion go without.

    Falls to attacks by decision: the gap attack (who is wrong is not a member), and those that measure how far a record
    lies from the boundary by asking many times (Choquette-Choo et al. 2021, arXiv:2007.14321); count queries as well.
    """

    card: ClassVar[Card] = Card(
        title="Label-only answers",
        summary="Answers classes without scores: the least a model can tell; decision-based attacks remain.",
        paper="Choquette-Choo et al. 2021, arXiv:2007.14321",
        needs=("scores",),
        inputs=("chw", "row", "wave", "frames", "tokens"),
        threats=("AML.T0024", "AML.T0024.000", "OWASP-ML04", "OWASP-ML05"),
        extra="models",
    )

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
        """Return the target with answers that name a class; raises MissingPower for one that does so already."""

        def named(shares: torch.Tensor) -> torch.Tensor:
            rest = (1 - SURE) / max(1, shares.shape[1] - 1)
            answer = torch.full_like(shares, rest)
            return answer.scatter_(1, shares.argmax(1, keepdim=True), SURE)

        return transformed(target, "labels only", Transformation(after=named), rng)
