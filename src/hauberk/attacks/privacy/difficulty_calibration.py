"""Difficulty calibration: what the target knows of a record beyond what models without it know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.references import moments, outsiders, signals, table
from hauberk.core.card import Card
from hauberk.core.protocols import References, Target
from hauberk.numeric.membership import Signal


@dataclass(frozen=True, slots=True)
class DifficultyCalibration:
    """Score each record by the target's signal minus the mean of reference models that were not trained on it.

    Watson et al. 2022, arXiv:2111.08440, §4. One reference model is enough to take a record's difficulty away.
    """

    card: ClassVar[Card] = Card(
        title="Difficulty calibration (membership inference)",
        summary="Subtracts how easy a record is for models without it; works with a single reference model.",
        paper="Watson et al. 2022, arXiv:2111.08440, §4",
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
        """Return differences (n,) float64 in the signal's unit."""
        outsiders(references)
        others = table(references, x, y, self.signal)
        return signals(target, x, y, self.signal) - moments(others, ~references.member).mean
