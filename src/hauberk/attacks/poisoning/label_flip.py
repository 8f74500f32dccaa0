"""Label flipping: wrong labels on training rows whose inputs stay as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.poison_ridge import design, indicators, solved
from hauberk.attacks.poison_rows import allowed
from hauberk.core.card import Card
from hauberk.core.errors import DataError
from hauberk.core.poisoning import Poisoned
from hauberk.core.threat import Threat

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class LabelFlip:
    """Flip the labels of the threat's share of rows.

    Biggio et al. 2011, "Support vector machines under adversarial label noise", §4, and Xiao et al. 2012, "Adversarial
    label flips attack on support vector machines", §5 (uniform, nearest-first and farthest-first flips).

    A threat with a target class flips to that class; one without to another class: by chance, or with nearest and
    farthest to the one that the linear model finds most and least likely.

    choice: which rows: "random", or those a ridge regression on the clean rows puts "nearest" to its boundary or
    "farthest" on the right side of it, which do most harm to a model that believes its labels.
    source: flip rows of this class only; -1 for all.
    """

    card: ClassVar[Card] = Card(
        title="Label flipping",
        summary="Mislabels training rows, at random, of one class, or by their distance from the boundary.",
        paper="Xiao et al. 2012, Adversarial label flips attack on support vector machines (ECAI), §5",
        needs=("refit",),
        inputs=("chw", "row", "wave", "frames", "tokens"),
        threats=("AML.T0020", "OWASP-ML02"),
        extra="models",
    )

    choice: Literal["random", "nearest", "farthest"] = "random"
    source: int = -1

    def poison(
        self,
        x: Tensor,
        y: Tensor,
        bounds: tuple[float, float],  # noqa: ARG002
        threat: Threat,
        rng: torch.Generator,
    ) -> Poisoned:
        """Flip floor(poison_rate · n) labels, fewer where there are no more rows to flip.

        Raises UsageError without poison rate, DataError where no row can be flipped, or for inputs too wide to order.
        """
        count, goal = allowed(threat, len(y)), threat.target_class
        classes = max(int(y.max()) + 1, (goal or 0) + 1)
        free = torch.ones(len(y), dtype=torch.bool) if self.source < 0 else y == self.source
        if goal is not None:
            free &= y != goal
        if classes < 2 or not bool(free.any()):
            kind = "training row" if self.source < 0 else f"training row of class {self.source}"
            raise DataError(f"there is no {kind} whose label could be flipped", fix="name other classes")
        candidates = free.nonzero()[:, 0]
        labels = y.clone()
        if self.choice == "random":
            rows = candidates[torch.randperm(len(candidates), generator=rng)[:count]]
            wrong = (y[rows] + torch.randint(1, classes, (len(rows),), generator=rng)) % classes
        else:
            rows, wrong = self._placed(x, y, classes, candidates, count)
        labels[rows] = wrong if goal is None else goal
        return Poisoned(x.clone(), labels, rows.sort().values)

    def _placed(self, x: Tensor, y: Tensor, classes: int, candidates: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Order candidates by their margin in a ridge regression; return rows and the class each is flipped to."""
        rows = design(x)
        scores = rows @ solved(rows, indicators(y, classes), 1e-3)
        column = y.unsqueeze(1)
        right = scores.gather(1, column)[:, 0]
        rest = scores.scatter(1, column, -torch.inf)
        least = scores.scatter(1, column, torch.inf).argmin(1)
        margin = right - rest.max(1).values
        near = self.choice == "nearest"
        chosen = candidates[margin[candidates].argsort(descending=not near, stable=True)[:count]]
        return chosen, (rest.argmax(1) if near else least)[chosen]
