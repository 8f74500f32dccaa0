"""Membership by distance: members lie further from the decision boundary; labels alone are asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.boundary_search import Hunt
from hauberk.attacks.boundary_walk import walk
from hauberk.attacks.recording import decisions
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Ball, Threat

Tensor = torch.Tensor

TRIES = 10
"""Random inputs looked at for a first error, where no record of the batch has another class."""


@dataclass(frozen=True, slots=True)
class BoundaryDistance:
    """Score each record by its distance to the nearest error that a label-only search finds.

    Choquette-Choo et al. 2021, arXiv:2007.14321, §3.3; Li & Zhang 2021, arXiv:2007.15528, §4: HopSkipJump in l2. A
    record that is misclassified lies at distance 0: this is the gap attack, sharpened.

    queries: of each record. probes: random directions of the first gradient estimate.
    """

    card: ClassVar[Card] = Card(
        title="Boundary distance (label-only membership inference)",
        summary="Label-only attack of highest precision and highest cost: hundreds of queries for each record.",
        paper="Choquette-Choo et al. 2021, arXiv:2007.14321, §3.3",
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0024.000", "OWASP-ML04"),
        extra="models",
    )

    queries: int = 300
    probes: int = 20

    def score(self, target: Target, x: Tensor, y: Tensor, rng: torch.Generator) -> Tensor:
        """Return distances (n,) float64 in input units; infinite ones count as the input's diameter."""
        low, high = target.spec.bounds
        far = (high - low) * math.sqrt(math.prod(x.shape[1:]))
        threat = Threat(name="membership", knowledge="decision", ball=Ball("l2", far))
        hunt = Hunt(target, x, y, threat, self.queries, name="privacy.boundary_distance", norms=("l2",), early=False)
        walk(hunt, "data", TRIES, self.probes, rng)
        reached = hunt.distances.double().clamp(max=far)
        return torch.where(decisions(target, x) == y, reached, 0.0)
