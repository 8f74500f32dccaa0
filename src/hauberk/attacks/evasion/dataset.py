"""Dataset attack: walk from the input towards others of the batch that the model takes for another class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.boundary_search import Hunt
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Dataset:
    """Begin at the nearest inputs of the batch whose answer the attacker wants, and bisect towards the clean one.

    others: how many of them are tried for each sample. queries: per sample at most; a threat's own budget goes before
    it. early_stop: leave a sample once its error lies inside the ball.
    """

    card: ClassVar[Card] = Card(
        title="Dataset attack",
        summary="A baseline for a few queries: how near other data already lies; needs a batch of several classes.",
        paper="Rauber et al. 2017, arXiv:1707.04131 (Foolbox)",
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    others: int = 5
    queries: int = 200
    early_stop: bool = True

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return the nearest errors on the ways to other inputs, of x's shape, put into the ball where outside.

        A sample that is wrong already, or has no other, comes back as it was. Raises UsageError without a ball.
        """
        name = "evasion.dataset"
        hunt = Hunt(target, x, y, threat, self.queries, name=name, norms=self.card.norms, early=self.early_stop)
        rows = hunt.open()
        for rank in range(self.others):
            if not len(rows):
                break
            point, found = hunt.neighbour(rows, rank)
            rows = rows[found]
            walkers = hunt.onto_boundary(hunt.walkers(rows, point[found]))
            rows = rows[hunt.keep(walkers)]
        return hunt.found()
