"""Membership by entropy: a model is surer of its training records, whatever their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.references import signals
from hauberk.core.card import Card
from hauberk.core.protocols import Target


@dataclass(frozen=True, slots=True)
class EntropyThreshold:
    """Score each record by minus the entropy of the target's answer: it needs no label.

    Salem et al. 2019, arXiv:1806.01246, §5 (adversary 3).
    """

    card: ClassVar[Card] = Card(
        title="Entropy threshold (membership inference)",
        summary="Tells training members by how sure the answer is; for attackers who do not know the labels.",
        paper="Salem et al. 2019, arXiv:1806.01246, §5",
        needs=("scores",),
        inputs=("chw", "row", "wave", "frames", "tokens"),
        threats=("AML.T0024.000", "OWASP-ML04"),
        extra="models",
    )

    def score(self, target: Target, x: torch.Tensor, y: torch.Tensor, rng: torch.Generator) -> torch.Tensor:  # noqa: ARG002
        """Return minus the entropy (n,) float64, in nats."""
        return signals(target, x, y, "entropy")
