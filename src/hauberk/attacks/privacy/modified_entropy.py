"""Membership by modified entropy: sure and right looks like a member, sure and wrong does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.references import signals
from hauberk.core.card import Card
from hauberk.core.protocols import Target


@dataclass(frozen=True, slots=True)
class ModifiedEntropy:
    """Score each record by minus Song & Mittal's entropy, which also looks at how the rest of the answer is spread.

    Song & Mittal 2021, arXiv:2003.10595, equation 8.
    """

    card: ClassVar[Card] = Card(
        title="Modified entropy threshold (membership inference)",
        summary="Tells training members by an entropy that knows the label; the best score without reference models.",
        paper="Song & Mittal 2021, arXiv:2003.10595, equation 8",
        needs=("scores",),
        inputs=("chw", "row", "wave", "frames", "tokens"),
        threats=("AML.T0024.000", "OWASP-ML04"),
        extra="models",
    )

    def score(self, target: Target, x: torch.Tensor, y: torch.Tensor, rng: torch.Generator) -> torch.Tensor:  # noqa: ARG002
        """Return minus the modified entropy (n,) float64."""
        return signals(target, x, y, "modified-entropy")
