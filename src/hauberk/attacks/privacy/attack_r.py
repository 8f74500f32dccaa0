"""Attack R: how a record's signal ranks among reference models that were not trained on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.references import moments, outsiders, signals, table
from hauberk.core.card import Card
from hauberk.core.protocols import References, Target
from hauberk.numeric.membership import Signal


@dataclass(frozen=True, slots=True)
class AttackR:
    """Score each record by the share of reference models without it whose signal the target's exceeds.

    Ye et al. 2022, arXiv:2111.09679, §4.3 (Attack R). A share of k models takes k + 1 values, so that low false
    positive rates need many models; among equal shares the lead over the models' mean decides.
    """

    card: ClassVar[Card] = Card(
        title="Attack R (reference models)",
        summary="Ranks the target among models without the record; needs many of them to be sharp.",
        paper="Ye et al. 2022, arXiv:2111.09679, §4.3",
        inputs=("chw", "row", "wave", "frames", "tokens"),
        threats=("AML.T0024.000", "OWASP-ML04"),
        extra="models",
    )
    uses: ClassVar[Literal["models", "population"]] = "models"

    signal: Signal = "log-odds"

    def compare(
        self,
        target: Target,
        x: torch.Tensor,
        y: torch.Tensor,
        references: References,
        rng: torch.Generator,  # noqa: ARG002
    ) -> torch.Tensor:
        """Return shares (n,) float64 between 0 and 1, and less than one model's share more for the lead."""
        outsiders(references)
        own, others, out = signals(target, x, y, self.signal), table(references, x, y, self.signal), ~references.member
        count = out.sum(0)
        share = ((others < own) & out).sum(0) / count
        lead = own - moments(others, out).mean
        return share.double() + torch.sigmoid(lead) / (count + 1)
