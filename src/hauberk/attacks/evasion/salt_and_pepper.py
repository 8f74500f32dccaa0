"""Salt and pepper: set random values to their least or greatest, more and more, until the model errs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.boundary_search import Hunt, beside
from hauberk.attacks.corrupting import Path, worsen
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.draws import uniform

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class SaltAndPepper:
    """Salt and pepper; in an image all channels of a pixel change together.

    steps: shares of values tried, from few to the most inside the ball. tries: noises drawn for each sample, one after
    the other; each adds to its own values as it grows. queries: per sample at most; a threat's own budget goes before
    it.
    """

    card: ClassVar[Card] = Card(
        title="Salt-and-pepper noise",
        summary="A baseline that knows nothing of the model: how many dead or burnt-out pixels it stands.",
        paper="Rauber et al. 2017, arXiv:1707.04131 (Foolbox)",
        norms=("l0", "l1", "l2"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 20
    tries: int = 10
    queries: int = 500

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return inputs with few changed values that err, of x's shape; a sample without comes back as it was.

        Raises UsageError for a threat without an l0, l1 or l2 ball.
        """
        hunt = Hunt(target, x, y, threat, self.queries, name="evasion.salt_and_pepper", norms=self.card.norms)
        rows, (low, high) = hunt.open(), hunt.bounds
        grains = (len(x), 1, *x.shape[2:]) if x.ndim == 4 else tuple(x.shape)
        for _ in range(self.tries):
            turn = uniform(grains, x, rng)
            extreme = torch.where(uniform(grains, x, rng) < 0.5, low, high).expand_as(x)
            rows = worsen(hunt, rows, _sprinkled(x, turn, extreme), self.steps)
        return hunt.found()


def _sprinkled(x: Tensor, turn: Tensor, extreme: Tensor) -> Path:
    """Return the path on which values become `extreme` (n, *shape) one after the other, in the order of `turn`."""
    return lambda rows, share: torch.where(turn[rows] < beside(share, x), extreme[rows], x[rows])
