"""Equation solving: the exact weights of a linear model from one answer more than it has inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from hauberk.attacks.surrogates import Surrogate, ask, budget_of
from hauberk.core.card import Card
from hauberk.core.errors import DataError, MissingPower
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat

Tensor = torch.Tensor

LEAST = 1e-12
"""Probabilities below it carry no digits for the logarithm."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Solve w · x + b for the target's log-odds between its classes, at random points inside the bounds.

    Tramèr et al. 2016, arXiv:1609.02943, §4.1. Exact for logistic and softmax regression and linear support vector
    machines; of any other model it is the best plane through the answers. All of the budget is used, by least squares,
    which evens out rounded answers.
    reach: how far the points lie about the middle of the bounds, in shares of their range: small keeps probabilities
    away from 0 and 1, where they have no digits left.
    """

    card: ClassVar[Card] = Card(
        title="Equation solving",
        summary="Reads a linear model's weights off its scores, exactly, with one query more than it has inputs.",
        paper="Tramèr et al. 2016, arXiv:1609.02943, section 4.1",
        needs=("scores",),
        inputs=("chw", "row"),
        threats=("AML.T0024.002", "OWASP-ML05"),
        extra="models",
    )

    reach: float = 0.5

    def steal(self, target: Target, pool: Tensor, threat: Threat, rng: torch.Generator) -> Surrogate:
        """Return a linear surrogate.

        Raises MissingPower where the target answers labels only, DataError for fewer queries than inputs and one more.
        """
        if target.spec.answers == "labels" or threat.knowledge == "decision":
            raise MissingPower("labels are no equations", fix="let the attacker see scores")
        budget, size = budget_of(pool, threat), pool[0].numel()
        if budget < size + 1:
            raise DataError(f"{size} inputs need {size + 1} queries, {budget} are allowed", fix="raise queries")
        low, high = target.spec.bounds
        spread = self.reach * (high - low)
        # The whole pool would do, but columns that move together in it leave the equations without an answer.
        x = (low + high) / 2 + spread * (torch.rand(budget, size, generator=rng) - 0.5)
        told = ask(target, x.reshape(budget, *pool.shape[1:])).double()
        sure = target.spec.answers == "logits"
        odds = told if sure else told.clamp_min(LEAST).log()
        odds = odds - odds.mean(1, keepdim=True)
        design = torch.cat((x.double(), torch.ones(budget, 1, dtype=torch.float64)), 1)
        # A rounded probability says little of its logarithm where it is small, and nothing where it is 0.
        weight = torch.ones(budget, 1, dtype=torch.float64) if sure else told.amin(1, keepdim=True).clamp_min(LEAST)
        solved = torch.linalg.lstsq(weight * design, weight * odds).solution
        layer = nn.Linear(size, target.spec.classes, device="meta").to_empty(device="cpu")
        with torch.no_grad():
            layer.weight.copy_(solved[:-1].T)
            layer.bias.copy_(solved[-1])
        return Surrogate(nn.Sequential(nn.Flatten(), layer).eval().requires_grad_(False), target.spec)
