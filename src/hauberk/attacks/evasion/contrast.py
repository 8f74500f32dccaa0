"""Contrast reduction: fade the input towards one grey until the model errs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.boundary_search import Hunt
from hauberk.attacks.corrupting import line, worsen
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Contrast:
    """Reduce the contrast.

    level: the grey faded to, as a share of the input's range, 0–1. steps: strengths tried, from faint to the strongest
    inside the ball. queries: per sample at most; a threat's own budget goes before it.
    """

    card: ClassVar[Card] = Card(
        title="Contrast reduction",
        summary="A baseline that knows nothing of the model: how far inputs may fade before it errs.",
        paper="Rauber et al. 2017, arXiv:1707.04131 (Foolbox)",
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    level: float = 0.5
    steps: int = 50
    queries: int = 500

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return the least faded inputs that err, of x's shape; a sample without one comes back as it was.

        Raises UsageError for a threat without an linf, l2 or l1 ball.
        """
        hunt = Hunt(target, x, y, threat, self.queries, name="evasion.contrast", norms=self.card.norms)
        low, high = hunt.bounds
        worsen(hunt, hunt.open(), line(hunt, torch.full_like(x, low + self.level * (high - low))), self.steps)
        return hunt.found()
