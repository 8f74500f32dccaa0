"""Sequence membership against reference models: what this model finds likelier than others do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.numeric.sequence_membership import Sequences, against_references


@dataclass(frozen=True, slots=True)
class ReferenceRatio:
    """Score each sequence by its mean log probability less that of models that have not seen it.

    Carlini et al. 2021, arXiv:2012.07805, §5.2: difficulty calibration for language models.
    """

    card: ClassVar[Card] = Card(
        title="Reference ratio (sequence membership inference)",
        summary="The strongest for language models where a model of like training without the texts is at hand.",
        paper="Carlini et al. 2021, arXiv:2012.07805, §5.2",
        inputs=("tokens",),
        threats=("AML.T0024.000", "OWASP-LLM02"),
        extra="models",
    )

    def rank(self, sequences: Sequences) -> torch.Tensor:
        """Return scores (n,) float64; raises ValueError where no reference model's are known."""
        return against_references(sequences)
