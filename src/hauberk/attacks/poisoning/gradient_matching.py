"""Gradient matching (Witches' Brew): rows of the attacker's class that teach a model to err on one chosen input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.poison_features import network_of
from hauberk.attacks.poison_gradients import match, pull, strongest, trainable
from hauberk.attacks.poison_rows import allowed, around, goal_of, members
from hauberk.core.card import Card
from hauberk.core.poisoning import Poisoned
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class GradientMatching:
    """Move rows of the target class so that their training gradient is the one that mislearns the chosen input.

    Geiping et al. 2021, arXiv:2009.02276, §3: labels stay right, and the victim trains from a fresh start.

    steps, restarts: of the matching; the paper has 250 and 8. pace: of the first step as a share of `radius`.
    radius: how far a value may be moved as a share of the input range, without a ball; the paper's 16/255.
    """

    card: ClassVar[Card] = Card(
        title="Gradient matching (Witches' Brew)",
        summary="Has one chosen input misread after training from scratch on rows whose labels are all right.",
        paper="Geiping et al. 2021, arXiv:2009.02276, §3",
        needs=("refit", "module"),
        norms=("linf", "l2", "l1"),
        inputs=("chw", "row", "wave"),
        threats=("AML.T0020", "AML.T0018", "OWASP-ML02"),
        extra="models",
    )

    steps: int = 60
    restarts: int = 2
    pace: float = 0.2
    radius: float = 16 / 255

    def aim(
        self, surrogate: Target, x: Tensor, y: Tensor, chosen: Tensor, threat: Threat, rng: torch.Generator
    ) -> Poisoned:
        """Poison floor(poison_rate · n) rows of the target class, those whose gradient is longest."""
        net = trainable(network_of(surrogate))
        pool = members(y, threat)
        rows = pool[strongest(net, x[pool], y[pool], allowed(threat, len(y)))].sort().values
        if not len(rows):
            return Poisoned(x.clone(), y.clone(), rows)
        wanted = pull(net, chosen, torch.full((len(chosen),), goal_of(threat)))
        region = around(x[rows], surrogate.spec.bounds, threat, self.radius)
        found = match(net, wanted, region, y[rows], rng, steps=self.steps, restarts=self.restarts, pace=self.pace)
        poisoned = x.clone()
        poisoned[rows] = found.x
        return Poisoned(poisoned, y.clone(), rows)
