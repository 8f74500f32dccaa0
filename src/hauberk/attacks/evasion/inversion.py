"""Inversion: turn the input into its negative, by degrees, until the model errs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Generator, Tensor

from hauberk.attacks.boundary_search import Hunt
from hauberk.attacks.corrupting import line, worsen
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat


@dataclass(frozen=True, slots=True)
class Inversion:
    """Invert the values within their range; half way lies plain grey.

    steps: degrees tried, from faint to the strongest inside the ball. queries: per sample at most; a threat's own
    budget goes before it.
    """

    card: ClassVar[Card] = Card(
        title="Inversion",
        summary="A baseline that knows nothing of the model: whether it still reads the negative of an input.",
        paper="Hosseini et al. 2017, arXiv:1703.06857",
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    steps: int = 50
    queries: int = 500

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: Generator) -> Tensor:  # noqa: ARG002
        """Return the least inverted inputs that err, of x's shape; a sample without one comes back as it was.

        Raises UsageError for a threat without an linf, l2 or l1 ball.
        """
        hunt = Hunt(target, x, y, threat, self.queries, name="evasion.inversion", norms=self.card.norms)
        low, high = hunt.bounds
        worsen(hunt, hunt.open(), line(hunt, (low + high - x).clamp(low, high)), self.steps)
        return hunt.found()
