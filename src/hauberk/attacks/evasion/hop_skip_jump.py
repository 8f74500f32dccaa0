"""HopSkipJump: walk along the decision boundary towards the clean input, by labels alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.boundary_search import Hunt
from hauberk.attacks.boundary_walk import walk
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat


@dataclass(frozen=True, slots=True)
class HopSkipJump:
    """HopSkipJump, all samples side by side.

    queries: per sample; a threat's own budget goes before it. probes: random directions of the first gradient
    estimate; the t-th takes √t times as many. tries: random inputs looked at for a first error. start: "data" begins
    at the nearest input of the batch that is classified otherwise, "noise" at random inputs; each falls back on the
    other. early_stop: leave a sample once its error lies inside the ball.
    """

    card: ClassVar[Card] = Card(
        title="HopSkipJump",
        summary="Boundary walk with estimated gradients: for models that tell their decision and nothing else.",
        paper="Chen et al. 2020, arXiv:1904.02144",
        norms=("linf", "l2"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 2000
    probes: int = 40
    tries: int = 20
    start: Literal["data", "noise"] = "data"
    early_stop: bool = True

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return the nearest errors found, of x's shape, put into the ball where they lie outside.

        A sample that is wrong already, or for which no first error is found, comes back as it was.
        Raises UsageError for a threat without an linf or l2 ball.
        """
        name = "evasion.hop_skip_jump"
        hunt = Hunt(target, x, y, threat, self.queries, name=name, norms=self.card.norms, early=self.early_stop)
        walk(hunt, self.start, self.tries, self.probes, rng)
        return hunt.found()
