"""Min-k++: each token's log probability, held against what the vocabulary has at its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.numeric.sequence_membership import SHARE, Sequences, least_likely_standardised


@dataclass(frozen=True, slots=True)
class MinKPlus:
    """Score each sequence by the mean of its least standardised log probabilities.

    Zhang et al. 2024, arXiv:2404.02936, equation 3: training makes a seen token a mode of its distribution. share: of
    the tokens that are looked at.
    """

    card: ClassVar[Card] = Card(
        title="Min-k++ (sequence membership inference)",
        summary="Min-k % with each token held against its place; needs the whole distribution at every token.",
        paper="Zhang et al. 2024, arXiv:2404.02936, equation 3",
        inputs=("tokens",),
        threats=("AML.T0024.000", "OWASP-LLM02"),
        extra="models",
    )

    share: float = SHARE

    def rank(self, sequences: Sequences) -> torch.Tensor:
        """Return scores (n,) float64; raises ValueError where mean and deviation are not known."""
        return least_likely_standardised(sequences, self.share)
