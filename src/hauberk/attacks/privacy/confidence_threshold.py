"""Membership by confidence: a model gives its training records' classes more probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.references import signals
from hauberk.core.card import Card
from hauberk.core.protocols import Target


@dataclass(frozen=True, slots=True)
class ConfidenceThreshold:
    """Score each record by the log odds that the target gives its class.

    Song & Mittal 2021, arXiv:2003.10595, §3.2.1. One threshold for all records orders them as the loss does; with
    `margin` the runner-up alone is compared with, which two models of one loss can differ in (Carlini et al. 2022,
    §V.C: the hinge).
    """

    card: ClassVar[Card] = Card(
        title="Confidence threshold (membership inference)",
        summary="Tells training members by the probability of their class, or by its lead over the runner-up.",
        paper="Song & Mittal 2021, arXiv:2003.10595, §3.2.1",
        inputs=("chw", "row", "wave", "frames", "tokens"),
        threats=("AML.T0024.000", "OWASP-ML04"),
        extra="models",
    )

    margin: bool = False

    def score(self, target: Target, x: torch.Tensor, y: torch.Tensor, rng: torch.Generator) -> torch.Tensor:  # noqa: ARG002
        """Return log odds, or the margin (n,) float64."""
        return signals(target, x, y, "margin" if self.margin else "log-odds")
