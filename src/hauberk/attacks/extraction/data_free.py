"""Data-free extraction: a generator makes the queries on which copy and target disagree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from hauberk.attacks.surrogates import Schooling, Surrogate, ask, budget_of, fresh, soft_labels
from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.adam import Adam

Tensor = torch.Tensor

NOISE = 16
"""Inputs of the generator."""
SHAKE = 1e-2
"""How far an input is moved to feel the target's slope, in shares of the bounds' range."""


@dataclass(frozen=True, slots=True)
class DataFree:
    """Train a small generator to make inputs on which the copy is wrong, and the copy to be right on them.

    Truong et al. 2021 (DFME), arXiv:2011.14779: the disagreement is the L1 distance of the answers; the target's slope
    is felt by one forward difference an input, which costs a query each. Kariyappa et al. 2021 (MAZE),
    arXiv:2005.03161: what was answered before is learned again. Of the pool it takes the shape alone.
    Half of the queries train the generator. It falls far behind attacks with data at equal budgets.

    batch: inputs a round. again: optimiser steps of the copy a round, on all that was answered. width, side: of the
    copy, as of extraction.knockoff. rate: of the generator's Adam.
    """

    card: ClassVar[Card] = Card(
        title="Data-free extraction (DFME, MAZE)",
        summary="Copies the model without any data of the thief's; shows what secrecy of the data is worth.",
        paper="Truong et al. 2021, arXiv:2011.14779; Kariyappa et al. 2021, arXiv:2005.03161",
        inputs=("chw", "row"),
        threats=("AML.T0024.002", "OWASP-ML05"),
        extra="models",
    )

    batch: int = 50
    again: int = 20
    width: int = 16
    side: int = 32
    rate: float = 2e-3

    def steal(self, target: Target, pool: Tensor, threat: Threat, rng: torch.Generator) -> Surrogate:
        """Return a surrogate after at most threat.queries answers; raises DataError, UsageError."""
        if self.batch < 1 or self.again < 1:
            raise UsageError(f"batch is {self.batch} and again {self.again}", fix="choose both 1 or more")
        left, (low, high) = budget_of(pool, threat), target.spec.bounds
        generator = _generator(pool[0].numel(), rng)
        climb = Adam(generator.parameters(), self.rate)
        school = Schooling(width=self.width, steps=self.again, side=self.side)
        # Nobody's data: the copy standardises by uniform noise within the bounds.
        blank = low + (high - low) * torch.rand(64, *pool.shape[1:], generator=rng)
        network = school.untaught(target.spec, blank, rng)
        known, labels = pool.new_zeros(0, *pool.shape[1:]), torch.zeros(0, target.spec.classes)
        while left > 0:
            n = min(self.batch, left)
            with torch.enable_grad():
                x = low + (high - low) * generator(torch.randn(n, NOISE, generator=rng)).reshape(n, *pool.shape[1:])
            told = soft_labels(ask(target, x.detach()), target.spec, threat)
            known, labels, left = torch.cat((known, x.detach())), torch.cat((labels, told)), left - n
            if left >= n:
                moved, slope = _slope(target, network, x.detach(), told, threat, rng)
                with torch.enable_grad():
                    climb.step(-(x * slope).sum() / n)
                known, labels, left = torch.cat((known, moved[0])), torch.cat((labels, moved[1])), left - n
            school.train(network, known, labels, rng)
        Schooling(width=self.width, steps=10 * self.again, side=self.side).train(network, known, labels, rng)
        return Surrogate(network.eval().requires_grad_(False), target.spec)


def _generator(size: int, rng: torch.Generator) -> nn.Module:
    """Make a generator (n, NOISE) → (n, size) in 0–1."""
    with torch.device("meta"):
        layers = nn.Sequential(nn.Linear(NOISE, 64), nn.ReLU(), nn.Linear(64, size))
    return nn.Sequential(fresh(layers, rng, torch.device("cpu")), nn.Sigmoid())


def _slope(
    target: Target, network: nn.Module, x: Tensor, told: Tensor, threat: Threat, rng: torch.Generator
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Feel the slope of the disagreement at x along one random direction → the moved inputs answered, and the slope."""
    low, high = target.spec.bounds
    way = torch.randn(x.shape, generator=rng).flatten(1)
    way = (way / way.norm(dim=1, keepdim=True)).reshape(x.shape)
    there = (x + SHAKE * (high - low) * way).clamp(low, high)
    answer = soft_labels(ask(target, there), target.spec, threat)
    with torch.no_grad():
        here, then = ((network(at).softmax(1) - a).abs().sum(1) for at, a in ((x, told), (there, answer)))
    rise = (then - here) / (SHAKE * (high - low))
    return (there, answer), rise.reshape(-1, *[1] * (x.ndim - 1)) * way * x[0].numel()
