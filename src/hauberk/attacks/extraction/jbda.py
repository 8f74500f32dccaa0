"""Jacobian-based data augmentation: a few inputs, multiplied towards where the copy changes its mind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.surrogates import Schooling, Surrogate, ask, budget_of, soft_labels
from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class JBDA:
    """Start with few inputs; each round add x + step · sign of the gradient of the copy's score of the told class.

    Papernot et al. 2017, arXiv:1602.02697, §4. The sign alternates between rounds, as the authors do (λ < 0 every other
    one). For a thief who has hardly any data: seeds inputs of the pool, and what grows of them.

    seeds: inputs of the pool to start from. step: in shares of the bounds' range. width … shift: of the copy, as of
    extraction.knockoff.
    """

    card: ClassVar[Card] = Card(
        title="Jacobian-based data augmentation",
        summary="Copies the model from a handful of inputs grown along the copy's gradients.",
        paper="Papernot et al. 2017, arXiv:1602.02697, section 4",
        inputs=("chw", "row"),
        threats=("AML.T0024.002", "OWASP-ML05"),
        extra="models",
    )

    seeds: int = 100
    step: float = 0.1
    width: int = 16
    steps: int = 300
    batch: int = 64
    learning_rate: float = 5e-3
    side: int = 32
    shift: int = 0

    def steal(self, target: Target, pool: Tensor, threat: Threat, rng: torch.Generator) -> Surrogate:
        """Return a surrogate trained on at most threat.queries answers.

        Raises DataError for nothing to ask, UsageError for fewer than one seed or a step that is not above 0.
        """
        if self.seeds < 1 or self.step <= 0:
            raise UsageError(f"seeds is {self.seeds} and the step {self.step:g}", fix="choose seeds ≥ 1 and a step > 0")
        budget = budget_of(pool, threat)
        low, high = target.spec.bounds
        school = Schooling(self.width, self.steps, self.batch, self.learning_rate, self.side, self.shift)
        x = pool[torch.randperm(len(pool), generator=rng)[: min(budget, self.seeds)]]
        labels = soft_labels(ask(target, x), target.spec, threat)
        way = self.step * (high - low)
        while True:
            copy = school.taught(x, labels, target.spec, pool, rng)
            if len(x) >= budget:
                return copy
            rows = torch.randperm(len(x), generator=rng)[: budget - len(x)]
            grown = (x[rows] + way * _direction(copy, x[rows], labels[rows].argmax(1))).clamp(low, high)
            x, way = torch.cat((x, grown)), -way
            labels = torch.cat((labels, soft_labels(ask(target, grown), target.spec, threat)))


def _direction(copy: Surrogate, x: Tensor, told: Tensor) -> Tensor:
    """Return the sign of the gradient of the told class's score at x (n, *shape)."""
    with torch.enable_grad():
        there = x.clone().requires_grad_()
        score = copy.forward(there).gather(1, told[:, None]).sum()
        return torch.autograd.grad(score, there)[0].sign()
