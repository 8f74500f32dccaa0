"""Knockoff nets: train a surrogate on the target's answers to inputs picked at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.surrogates import Schooling, Surrogate, ask, budget_of, soft_labels, stretched
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat


@dataclass(frozen=True, slots=True)
class Knockoff:
    """Ask the target about random inputs of the attacker's pool and train a small network on the answers.

    Orekondy et al. 2019, arXiv:1812.02766, §4 (random strategy; the answers' probabilities are the training labels).
    A pool smaller than the budget is stretched with mixtures of its own inputs: convex for images, column by column
    for rows, so that every value is one the column really takes.

    width: channels of the first convolution, or an eighth of the hidden units for rows. steps: optimiser steps.
    batch: inputs a step. learning_rate: of Adam at its peak, falling along a cosine.
    side: larger images are averaged down to this many pixels a side before the copy looks at them.
    shift: images are moved by up to so many pixels in each step of training, which costs no query; 0 for none.
    """

    card: ClassVar[Card] = Card(
        title="Knockoff nets (random strategy)",
        summary="Copies the model through its answers; shows what a given number of queries buys a thief.",
        paper="Orekondy et al. 2019, arXiv:1812.02766, §4",
        inputs=("chw", "row"),
        threats=("AML.T0024.002", "OWASP-ML05"),
        extra="models",
    )

    width: int = 16
    steps: int = 300
    batch: int = 64
    learning_rate: float = 5e-3
    side: int = 32
    shift: int = 0

    def steal(self, target: Target, pool: torch.Tensor, threat: Threat, rng: torch.Generator) -> Surrogate:
        """Return a surrogate trained on at most threat.queries answers; without a budget, on one for each of the pool.

        A threat whose knowledge is "decision" sees labels only. With one rng state, a larger budget asks the same
        inputs first. Raises DataError for an empty pool or a budget below 1.
        """
        budget = budget_of(pool, threat)
        asked = stretched(pool, budget, rng)
        labels = soft_labels(ask(target, asked), target.spec, threat)
        school = Schooling(self.width, self.steps, self.batch, self.learning_rate, self.side, self.shift)
        return school.taught(asked, labels, target.spec, pool, rng)
