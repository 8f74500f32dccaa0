"""Zlib: what a model finds likely although a compressor does not was probably seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.numeric.sequence_membership import Sequences, against_compression


@dataclass(frozen=True, slots=True)
class ZlibRatio:
    """Score each sequence by its log probability for each byte that zlib needs for its text.

    Carlini et al. 2021, arXiv:2012.07805, §5.2.
    """

    card: ClassVar[Card] = Card(
        title="Zlib ratio (sequence membership inference)",
        summary="Takes away how repetitive a text is; needs the texts, no other model.",
        paper="Carlini et al. 2021, arXiv:2012.07805, §5.2",
        inputs=("tokens",),
        threats=("AML.T0024.000", "OWASP-LLM02"),
        extra="models",
    )

    def rank(self, sequences: Sequences) -> torch.Tensor:
        """Return scores (n,) float64; raises ValueError where the packed sizes are not known."""
        return against_compression(sequences)
