"""Active learning: ask about the inputs from which the copy would learn most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, assert_never

import torch

from hauberk.attacks.surrogates import Schooling, Surrogate, ask, budget_of, soft_labels, stretched
from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class ActiveLearning:
    """Train a copy on a few random inputs, choose the next by what it says of the others, and start again.

    Pal et al. 2020, "ActiveThief", AAAI, §4. A pool no larger than the budget leaves nothing to choose: then every
    input is asked, as the random strategy does.

    strategy: "entropy" asks what the copy is unsure of; "k-center" what lies farthest, in the copy's answers, from all
    that was asked; "both" takes k-centers among the unsure half. rounds: of choosing, after the first. first: share of
    the budget asked at random, above 0 and at most 1. width … shift: as of extraction.knockoff.
    """

    card: ClassVar[Card] = Card(
        title="ActiveThief (active learning)",
        summary="Copies the model with chosen queries; for a thief with more inputs than he can pay to have answered.",
        paper="Pal et al. 2020, AAAI, section 4",
        inputs=("chw", "row"),
        threats=("AML.T0024.002", "OWASP-ML05"),
        extra="models",
    )

    strategy: Literal["entropy", "k-center", "both"] = "both"
    rounds: int = 3
    first: float = 0.4
    width: int = 16
    steps: int = 300
    batch: int = 64
    learning_rate: float = 5e-3
    side: int = 32
    shift: int = 0

    def steal(self, target: Target, pool: Tensor, threat: Threat, rng: torch.Generator) -> Surrogate:
        """Return a surrogate trained on at most threat.queries chosen answers.

        Raises DataError for nothing to ask, UsageError for rounds below 1 or a first share outside (0, 1].
        """
        if self.rounds < 1 or not 0 < self.first <= 1:
            raise UsageError(
                f"rounds: {self.rounds}, first: {self.first:g}", fix="choose rounds ≥ 1 and first in (0, 1]"
            )
        budget = budget_of(pool, threat)
        inputs = stretched(pool, max(budget, len(pool)), rng)
        taken = torch.arange(len(inputs)) < max(1, min(budget, round(self.first * budget)))
        labels = torch.zeros(len(inputs), target.spec.classes)
        labels[taken] = soft_labels(ask(target, inputs[taken]), target.spec, threat)
        school = Schooling(self.width, self.steps, self.batch, self.learning_rate, self.side, self.shift)
        for turn in range(self.rounds):
            more = (budget - int(taken.sum())) // (self.rounds - turn)
            if more < 1:
                continue
            copy = school.taught(inputs[taken], labels[taken], target.spec, pool, rng)
            chosen = self._chosen(ask(copy, inputs).softmax(1), taken, more)
            labels[chosen] = soft_labels(ask(target, inputs[chosen]), target.spec, threat)
            taken[chosen] = True
        return school.taught(inputs[taken], labels[taken], target.spec, pool, rng)

    def _chosen(self, chances: Tensor, taken: Tensor, most: int) -> Tensor:
        """Choose `most` rows that were not taken, by the copy's probabilities (n, classes)."""
        free = (~taken).nonzero()[:, 0]
        unsure = -(chances[free] * chances[free].clamp_min(1e-12).log()).sum(1)
        match self.strategy:
            case "entropy":
                return free[unsure.argsort(descending=True, stable=True)[:most]]
            case "k-center":
                return free[_centers(chances[free], chances[taken], most)]
            case "both":
                half = unsure.argsort(descending=True, stable=True)[: max(most, len(free) // 2)]
                return free[half[_centers(chances[free[half]], chances[taken], most)]]
            case other:
                assert_never(other)


def _centers(points: Tensor, known: Tensor, most: int) -> Tensor:
    """Pick the farthest point from all known and picked ones, again and again (Sener & Savarese 2018, algorithm 1)."""
    away = torch.cdist(points, known).amin(1)
    picked = []
    for _ in range(min(most, len(points))):
        row = int(away.argmax())
        picked.append(row)
        away = torch.minimum(away, (points - points[row]).norm(dim=1))
        away[row] = -1.0
    return torch.tensor(picked, dtype=torch.long)
