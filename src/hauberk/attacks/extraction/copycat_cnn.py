"""Copycat CNN: train a surrogate on the target's decisions alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.surrogates import Schooling, Surrogate, ask, budget_of, stretched
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat


@dataclass(frozen=True, slots=True)
class CopycatCNN:
    """Ask the target about random inputs, keep the likeliest class of each answer, and train on those.

    Correia-Silva et al. 2018, arXiv:1806.05476, §III. What is left when scores are hidden, rounded or poisoned: a
    defense that keeps the decision does nothing against it. width … shift: as of extraction.knockoff.
    """

    card: ClassVar[Card] = Card(
        title="Copycat CNN",
        summary="Copies the model through its decisions; no defense that keeps the class stands in its way.",
        paper="Correia-Silva et al. 2018, arXiv:1806.05476, section III",
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
        """Return a surrogate trained on at most threat.queries decisions; raises DataError for nothing to ask."""
        asked = stretched(pool, budget_of(pool, threat), rng)
        told = ask(target, asked)
        labels = torch.nn.functional.one_hot(told.argmax(1), target.spec.classes).float()
        school = Schooling(self.width, self.steps, self.batch, self.learning_rate, self.side, self.shift)
        return school.taught(asked, labels, target.spec, pool, rng)
