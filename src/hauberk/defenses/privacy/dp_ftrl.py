"""DP-FTRL: tree-aggregated noise on running sums of gradients, with a new tree for every pass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.private_defense import UNLIMITED, Account, Budget, Private, Recipe, applied, plan_of, recipe_of
from hauberk.defenses.private_gradients import Way


@dataclass(frozen=True, slots=True)
class DPFTRL:
    """Train on running sums of clipped gradients whose noise cancels from step to step; no random sampling is needed.

    Kairouz et al. 2021, arXiv:2103.00039, algorithm 1 (the gradient step of linear followed leaders), with restarts.
    Against exact attacks on aggregates and on facts that many rows share it promises nothing: it hides one row.

    epsilon, delta: the promise; delta 0 for rows^−1.1. noise: multiplier; 0 to find the least that keeps epsilon.
    steps, batch: updates, and rows expected in each (at most all). clip: largest norm of a row's gradient.
    learning_rate, momentum: of SGD on the noisy sums' differences.
    memory: rows whose gradients are computed at once, 0 for all of a batch: it changes nothing but memory.
    way: "book_keeping", "ghost" (less memory), "per_example" or "one_by_one" (exact and slow). mixed: bfloat16.
    warm: begin from the target's weights: only where they have never seen these rows. only: pattern of the parameters
    to train ("*head*"), the others stay frozen. secret: noise nobody can make again; false to repeat a run in a test.
    """

    card: ClassVar[Card] = Card(
        title="DP-FTRL",
        summary="Noise that cancels over time, for data that cannot be sampled at random, such as streams.",
        paper="Kairouz et al. 2021, arXiv:2103.00039",
        needs=("gradients", "module"),
        inputs=("chw", "row", "tokens", "wave"),
        threats=("AML.T0024.000", "AML.T0024.001", "OWASP-ML04", "OWASP-ML03"),
        extra="privacy",
    )

    epsilon: float = 3.0
    delta: float = 0.0
    noise: float = 0.0
    steps: int = 500
    batch: int = 256
    clip: float = 1.0
    learning_rate: float = 0.2
    momentum: float = 0.0
    memory: int = 0
    way: Way = "book_keeping"
    mixed: bool = False
    warm: bool = False
    only: str = ""
    secret: bool = True

    def recipe(self, rows: int) -> Recipe:
        """Return the run on so many rows."""
        plan = replace(plan_of(self, rows), mechanism="tree")
        return recipe_of(
            self,
            "DP-FTRL",
            plan,
            lambda values, _: torch.optim.SGD(values, lr=self.learning_rate, momentum=self.momentum),
        )

    def planned(self, rows: int, budget: Budget = UNLIMITED) -> Account:
        """Say what a run on so many rows would release at most."""
        recipe = self.recipe(rows)
        return recipe.account(*recipe.settled(budget))

    def train(
        self, target: Target, data: Split, rng: torch.Generator, *, budget: Budget = UNLIMITED, progress: Progress
    ) -> Private:
        """Return the private target and what it cost."""
        return self.recipe(len(data.y)).run(target, data, rng, budget=budget, progress=progress)

    def apply(
        self,
        target: Target,
        data: Split,
        threat: Threat,  # noqa: ARG002
        rng: torch.Generator,
        *,
        attack: EvasionAttack,  # noqa: ARG002
        progress: Progress,
    ) -> Target:
        """Return the private target alone."""
        return applied(self.train(target, data, rng, progress=progress))
