"""Min-k %: a text the model has seen has no very unlikely token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.numeric.sequence_membership import SHARE, Sequences, least_likely


@dataclass(frozen=True, slots=True)
class MinK:
    """Score each sequence by the mean log probability of its least likely tokens.

    Shi et al. 2024, arXiv:2310.16789, §3. share: of the tokens that are looked at.
    """

    card: ClassVar[Card] = Card(
        title="Min-k % (sequence membership inference)",
        summary="Looks at the least likely tokens alone; needs nothing but the tokens' log probabilities.",
        paper="Shi et al. 2024, arXiv:2310.16789, §3",
        inputs=("tokens",),
        threats=("AML.T0024.000", "OWASP-LLM02"),
        extra="models",
    )

    share: float = SHARE

    def rank(self, sequences: Sequences) -> torch.Tensor:
        """Return scores (n,) float64."""
        return least_likely(sequences, self.share)
