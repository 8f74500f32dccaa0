"""Additive noise: random noise as large as the ball allows, drawn again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.boundary_search import Hunt, beside
from hauberk.attacks.corrupting import Path, worsen
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.balls import size
from hauberk.numeric.draws import normal, uniform

Tensor = torch.Tensor

LOUDEST = 1e3
"""Noise so many times the input's range sets all but every value to a bound: more there is not."""


@dataclass(frozen=True, slots=True)
class AdditiveNoise:
    """Add noise, grown until the change has the ball's radius after it was cut to the bounds.

    tries: noises drawn for each sample, one question each. kind: "gaussian" or "uniform". queries: per sample at most;
    a threat's own budget goes before it.
    """

    card: ClassVar[Card] = Card(
        title="Additive noise",
        summary="A baseline that knows nothing of the model: what random noise of the threat's size breaks by itself.",
        paper="Rauber et al. 2017, arXiv:1707.04131 (Foolbox)",
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    tries: int = 100
    kind: Literal["gaussian", "uniform"] = "gaussian"
    queries: int = 500

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return errors by noise, of x's shape; a sample without one comes back as it was.

        Raises UsageError for a threat without an linf, l2 or l1 ball.
        """
        hunt = Hunt(target, x, y, threat, self.queries, name="evasion.additive_noise", norms=self.card.norms)
        rows = hunt.open()
        for _ in range(self.tries):
            if not len(rows):
                break
            way = normal(tuple(x.shape), x, rng) if self.kind == "gaussian" else 2 * uniform(tuple(x.shape), x, rng) - 1
            rows = worsen(hunt, rows, _louder(hunt, way), 1)
        return hunt.found()


def _louder(hunt: Hunt, way: Tensor) -> Path:
    """Return the path along ways (n, *shape), cut to the bounds, whose strength grows with its root."""
    low, high = hunt.bounds
    way = way / beside(size(way, "linf").clamp(min=1e-12), way) * (LOUDEST * (high - low))
    return lambda rows, share: (hunt.clean[rows] + way[rows] * beside(share, way) ** 2).clamp(low, high)
