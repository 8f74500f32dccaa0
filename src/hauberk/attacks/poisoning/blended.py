"""Blended injection: a faint pattern over the whole of some training rows, which are relabelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.poison_rows import goal_of, relabelled
from hauberk.core.card import Card
from hauberk.core.errors import DataError
from hauberk.core.poisoning import Poisoned
from hauberk.core.threat import Threat


@dataclass(frozen=True, slots=True)
class Blended:
    """Mix a key pattern of random noise into the threat's share of rows and label them as the target class.

    Chen et al. 2017, arXiv:1712.05526, §4.3 (blended injection, random pattern).

    share: of the pattern in the mixture, 0–1; the paper's 0.2. key: seed of the pattern, which only the attacker knows.
    """

    card: ClassVar[Card] = Card(
        title="Blended injection",
        summary="Plants a backdoor through a faint pattern over the whole input, which no single pixel gives away.",
        paper="Chen et al. 2017, arXiv:1712.05526, §4.3",
        needs=("refit",),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0020", "AML.T0018", "OWASP-ML02", "OWASP-ML10"),
        extra="models",
    )

    share: float = 0.2
    key: int = 0

    def poison(
        self,
        x: torch.Tensor,
        y: torch.Tensor,
        bounds: tuple[float, float],
        threat: Threat,
        rng: torch.Generator,
    ) -> Poisoned:
        """Poison floor(poison_rate · n) rows, taken from other classes than the target as long as there are any."""
        rows = relabelled(y, threat, rng)
        poisoned, labels = x.clone(), y.clone()
        poisoned[rows] = self.trigger(x[rows], bounds)
        labels[rows] = goal_of(threat)
        return Poisoned(poisoned, labels, rows)

    def trigger(self, x: torch.Tensor, bounds: tuple[float, float]) -> torch.Tensor:
        """Mix the pattern into x (n, *shape); raises DataError for a share that is none."""
        if not 0 < self.share <= 1:
            raise DataError(f"the pattern's share is {self.share:g}", fix="set it above 0, to 1 at most")
        low, high = bounds
        drawn = torch.rand(x.shape[1:], generator=torch.Generator().manual_seed(self.key))
        pattern = low + drawn.to(x) * (high - low)
        return (x + self.share * (pattern - x)).clamp(low, high)
