"""Membership by noise: a member's label survives more random changes of its input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.recording import decisions
from hauberk.core.card import Card
from hauberk.core.protocols import Target

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class LabelNoise:
    """Score each record by the share of its noisy copies that still get its class.

    Choquette-Choo et al. 2021, arXiv:2007.14321, §3.3 and §5.4: labels alone are asked for. Values are moved by normal
    noise; of records whose values are all 0 or 1, each is flipped with a small probability instead (equation 3).

    draws: copies of each noise level, a query each. levels: standard deviations as shares of the input's range, and
    flip probabilities.
    """

    card: ClassVar[Card] = Card(
        title="Label-only noise (membership inference)",
        summary="Needs the label alone: how much noise a record withstands; a few dozen queries a record.",
        paper="Choquette-Choo et al. 2021, arXiv:2007.14321, §5.4",
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0024.000", "OWASP-ML04"),
        extra="models",
    )

    draws: int = 16
    levels: tuple[float, ...] = (0.02, 0.05, 0.1)

    def score(self, target: Target, x: Tensor, y: Tensor, rng: torch.Generator) -> Tensor:
        """Return shares (n,) float64; a record that is wrong without noise gets less than any that is right."""
        low, high = target.spec.bounds
        binary = bool(((x == 0) | (x == 1)).all())
        kept = torch.zeros(len(x), dtype=torch.float64)
        for level in self.levels:
            for _ in range(self.draws):
                if binary:
                    flips = torch.rand(x.shape, generator=rng) < level
                    copy = torch.where(flips, 1 - x, x)
                else:
                    copy = (x + torch.randn(x.shape, generator=rng) * level * (high - low)).clamp(low, high)
                kept += (decisions(target, copy) == y).double()
        share = kept / (self.draws * len(self.levels))
        return share - (decisions(target, x) != y).double()
