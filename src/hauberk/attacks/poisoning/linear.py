"""Poisoning of linear models: points moved up the gradient of the clean loss, which is known in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.poison_ridge import design, indicators, solved
from hauberk.attacks.poison_rows import allowed, around
from hauberk.core.card import Card
from hauberk.core.errors import DataError
from hauberk.core.poisoning import Poisoned
from hauberk.core.threat import Threat

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Linear:
    """Relabel the threat's share of rows and move them to where they cost a linear model most accuracy.

    Biggio et al. 2012, arXiv:1206.6389, §3: gradient ascent on the hinge loss of clean rows through the solution of the
    learner. The learner here is ridge regression, whose solution is a system of linear equations, so the gradient is
    exact (as Xiao et al. 2015, arXiv:1804.07933, §3, have it for least squares); against support vector machines,
    logistic regression or networks the points are transferred.

    steps: of the ascent. pace: of a step, as a share of the input range for the value that moves most.
    reach: how far a value may be moved as a share of the input range, where the threat has no ball; 1 for anywhere.
    ridge: weight of the learner's penalty.
    """

    card: ClassVar[Card] = Card(
        title="Poisoning of linear models",
        summary="Moves mislabelled rows to where a linear learner loses most; the strongest on linear models and SVM.",
        paper="Biggio et al. 2012, arXiv:1206.6389, §3",
        needs=("refit",),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0020", "OWASP-ML02"),
        extra="models",
    )

    steps: int = 60
    pace: float = 0.1
    reach: float = 1.0
    ridge: float = 1e-3

    def poison(
        self,
        x: Tensor,
        y: Tensor,
        bounds: tuple[float, float],
        threat: Threat,
        rng: torch.Generator,
    ) -> Poisoned:
        """Poison floor(poison_rate · n) rows; their new label is the target class, or the nearest wrong one without.

        Raises UsageError without poison rate, DataError for one class or more columns than can be solved.
        """
        classes = int(y.max()) + 1
        if bool((y == y[0]).all()):
            raise DataError("all rows have one label, so that there is nothing to confuse", fix="give two classes")
        flippable = torch.arange(len(y)) if threat.target_class is None else (y != threat.target_class).nonzero()[:, 0]
        order = flippable[torch.randperm(len(flippable), generator=rng)]
        rows = order[: min(allowed(threat, len(y)), len(y) - 1)].sort().values
        labels = y.clone()
        labels[rows] = self._wrong(x, y, classes, threat)[rows]
        poisoned = x.clone()
        if len(rows):
            poisoned[rows] = self._moved(x, y, labels, rows, classes, bounds, threat)
        return Poisoned(poisoned, labels, rows)

    def _wrong(self, x: Tensor, y: Tensor, classes: int, threat: Threat) -> Tensor:
        if threat.target_class is not None:
            return torch.full_like(y, threat.target_class)
        data = design(x)
        scores = data @ solved(data, indicators(y, classes), self.ridge)
        return scores.scatter(1, y.unsqueeze(1), -torch.inf).argmax(1)

    def _moved(
        self,
        x: Tensor,
        y: Tensor,
        labels: Tensor,
        rows: Tensor,
        classes: int,
        bounds: tuple[float, float],
        threat: Threat,
    ) -> Tensor:
        """Return the points (m, *shape) of the greatest clean loss that the ascent has seen."""
        kept = torch.ones(len(y), dtype=torch.bool)
        kept[rows] = False
        count = max(classes, int(labels.max()) + 1)
        clean, truth = design(x[kept]), y[kept]
        wanted = indicators(truth, count)
        region = around(x[rows], bounds, threat, self.reach)
        points, planted = x[rows], indicators(labels[rows], count)
        best, most = points, -torch.inf
        for step in range(self.steps + 1):
            loss, slope = self._climb(clean, wanted, truth, points, planted)
            if loss > most:
                best, most = points, loss
            if step == self.steps or not bool(slope.any()):
                break
            stride = self.pace * (bounds[1] - bounds[0]) * (1 - step / (self.steps + 1))
            points = region.project(points + stride * slope / slope.abs().max())
        return best

    def _climb(
        self, clean: Tensor, wanted: Tensor, truth: Tensor, points: Tensor, planted: Tensor
    ) -> tuple[float, Tensor]:
        """Return the hinge loss of the clean rows under the learner, and its gradient by the points."""
        with torch.enable_grad():
            moving = points.detach().requires_grad_(True)
            weights = solved(torch.cat((clean, design(moving))), torch.cat((wanted, planted)), self.ridge)
            scores = clean @ weights
            column = truth.unsqueeze(1)
            rest = scores.scatter(1, column, -torch.inf).max(1).values
            loss = (1 - (scores.gather(1, column)[:, 0] - rest) / 2).clamp(min=0).mean()
            (slope,) = torch.autograd.grad(loss, moving)
        return float(loss.detach()), slope.detach()
