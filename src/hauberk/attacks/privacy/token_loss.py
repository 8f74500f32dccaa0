"""Sequence membership by loss: a model gives the tokens of its training texts more probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.numeric.sequence_membership import Sequences, mean_log_probability


@dataclass(frozen=True, slots=True)
class TokenLoss:
    """Score each sequence by the mean log probability of its tokens.

    Yeom et al. 2018, arXiv:1709.01604, §3.2, per token; the LOSS attack of Carlini et al. 2021, arXiv:2012.07805.
    """

    card: ClassVar[Card] = Card(
        title="Per-token loss (sequence membership inference)",
        summary="The baseline for language models; long easy texts look like members.",
        paper="Yeom et al. 2018, arXiv:1709.01604; Carlini et al. 2021, arXiv:2012.07805",
        inputs=("tokens",),
        threats=("AML.T0024.000", "OWASP-LLM02"),
        extra="models",
    )

    def rank(self, sequences: Sequences) -> torch.Tensor:
        """Return scores (n,) float64."""
        return mean_log_probability(sequences)
