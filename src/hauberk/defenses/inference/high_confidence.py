"""High-confidence outputs: only probabilities above a cut are answered."""

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
class HighConfidence:
    """Answer 0 for every probability under the cut; the likeliest class always stays.

    Falls to: whoever has the weights, who climbs the scores behind it; and to attacks by decision alone.
    cut: probability, 0–1. It starves attacks that live on small differences of scores; it is not for robustness.
    """

    card: ClassVar[Card] = Card(
        title="High-confidence outputs",
        summary="Answers sure probabilities only, against theft and score-based search; decisions stay.",
        paper="Tramèr et al. 2016, arXiv:1609.02943, section 7",
        needs=("scores",),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row", "wave", "frames", "tokens"),
        threats=("AML.T0024", "AML.T0043", "OWASP-ML05"),
        extra="models",
    )

    cut: float = 0.5

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
        """Return the target with its unsure answers left out.

        Raises MissingPower for labels only, UsageError for a bad cut.
        """
        if not 0 < self.cut < 1:
            raise UsageError(f"the cut is {self.cut:g}", fix="choose a probability between 0 and 1")
        cut = self.cut

        def sure(chances: Tensor) -> Tensor:
            return torch.where((chances >= cut) | (chances >= chances.amax(1, keepdim=True)), chances, 0.0)

        return transformed(target, "high-confidence outputs", Transformation(after=sure), rng)
