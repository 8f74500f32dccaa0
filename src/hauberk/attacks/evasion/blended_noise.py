"""Blended noise: mix the input with random noise until the model errs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Generator, Tensor

from hauberk.attacks.boundary_search import Hunt
from hauberk.attacks.corrupting import line, worsen
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.draws import uniform


@dataclass(frozen=True, slots=True)
class BlendedNoise:
    """Blend with uniform noise over the whole range.

    steps: shares of noise tried, from faint to the strongest inside the ball. tries: noises drawn for each sample, one
    after the other. queries: per sample at most; a threat's own budget goes before it.
    """

    card: ClassVar[Card] = Card(
        title="Blended uniform noise",
        summary="A baseline that knows nothing of the model: an attack that is no stronger than it has found nothing.",
        paper="Rauber et al. 2017, arXiv:1707.04131 (Foolbox)",
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 20
    tries: int = 5
    queries: int = 500

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: Generator) -> Tensor:
        """Return the faintest blend that errs, of x's shape; a sample without one comes back as it was.

        Raises UsageError for a threat without an linf, l2 or l1 ball.
        """
        hunt = Hunt(target, x, y, threat, self.queries, name="evasion.blended_noise", norms=self.card.norms)
        rows, (low, high) = hunt.open(), hunt.bounds
        for _ in range(self.tries):
            noise = low + uniform(tuple(x.shape), x, rng) * (high - low)
            rows = worsen(hunt, rows, line(hunt, noise), self.steps)
        return hunt.found()
