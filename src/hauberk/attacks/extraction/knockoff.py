"""Knockoff nets: train a surrogate on the target's answers to inputs picked at random."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

from hauberk.core.card import Card
from hauberk.core.errors import DataError
from hauberk.core.protocols import Target, TargetSpec
from hauberk.core.threat import Threat
from hauberk.numeric.adam import Adam

ASKED = 256
"""Inputs sent to the target at once."""


@dataclass(frozen=True, slots=True)
class Knockoff:
    """Ask the target about random inputs of the attacker's pool and train a small network on the answers.

    Orekondy et al. 2019, arXiv:1812.02766, §4 (random strategy; the answers' probabilities are the training labels).
    A pool smaller than the budget is stretched with mixtures of its own inputs: convex for images, column by column
    for rows, so that every value is one the column really takes.

    width: channels of the first convolution, or an eighth of the hidden units for rows. steps: optimiser steps.
    batch: inputs a step. learning_rate: of Adam at its peak, falling along a cosine.
    side: larger images are averaged down to this many pixels a side before the copy looks at them.
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

    def steal(self, target: Target, pool: torch.Tensor, threat: Threat, rng: torch.Generator) -> Surrogate:
        """Return a surrogate trained on at most threat.queries answers; without a budget, on one for each of the pool.

        A threat whose knowledge is "decision" sees labels only. With one rng state, a larger budget asks the same
        inputs first. Raises DataError for an empty pool or a budget below 1.
        """
        budget = len(pool) if threat.queries is None else threat.queries
        if not len(pool) or budget < 1:
            raise DataError("a surrogate needs a pool of inputs and at least one query", fix="raise queries")
        asked = _queries(pool, budget, rng)
        told = torch.cat([target.predict(asked[start : start + ASKED]) for start in range(0, budget, ASKED)])
        labels = _labels(told, target.spec, threat)
        network = _network(target.spec, self.width, self.side, pool, rng)
        self._train(network, asked, labels, rng)
        return Surrogate(network.eval().requires_grad_(False), target.spec)

    def _train(self, network: nn.Module, x: torch.Tensor, labels: torch.Tensor, rng: torch.Generator) -> None:
        optimizer = Adam(network.parameters(), self.learning_rate)
        for step in range(self.steps):
            optimizer.rate = self.learning_rate * (1 + math.cos(math.pi * step / self.steps)) / 2
            rows = torch.randint(len(x), (min(self.batch, len(x)),), generator=rng)
            optimizer.step(cross_entropy(network(x[rows]), labels[rows]))


class Surrogate:
    """A stolen copy: a differentiable target, so that attacks made on it can be tried on the original."""

    def __init__(self, network: nn.Module, original: TargetSpec) -> None:
        self._network = network
        self._spec = TargetSpec(
            name=f"{original.name} (stolen)",
            kind="surrogate",
            shape=original.shape,
            classes=original.classes,
            bounds=original.bounds,
            labels=original.labels,
        )

    @property
    def spec(self) -> TargetSpec:
        """What it is."""
        return self._spec

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Score inputs x (n, *shape) → logits (n, classes) without gradient."""
        with torch.no_grad():
            return self.forward(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute logits (n, classes) under autograd."""
        logits: torch.Tensor = self._network(x)
        return logits


class _Standardise(nn.Module):
    """Shift and scale inputs by what the attacker sees in his own pool: per channel, or per column."""

    center: torch.Tensor
    scale: torch.Tensor

    def __init__(self, pool: torch.Tensor) -> None:
        super().__init__()
        axes = (0, 2, 3) if pool.ndim == 4 else (0,)
        center, scale = pool.mean(axes, keepdim=True), pool.std(axes, keepdim=True, correction=0)
        self.register_buffer("center", center)
        self.register_buffer("scale", torch.where(scale > 1e-6, scale, 1.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.center) / self.scale


def _queries(pool: torch.Tensor, budget: int, rng: torch.Generator) -> torch.Tensor:
    """Draw `budget` inputs: the pool in random order, then rounds of mixtures of two of its inputs."""
    order = torch.randperm(len(pool), generator=rng)
    rounds = [pool[order]]
    stream = torch.Generator().manual_seed(int(torch.randint(2**62, (1,), generator=rng)))
    for _ in range(math.ceil(budget / len(pool)) - 1):
        first, second = (pool[torch.randperm(len(pool), generator=stream)] for _ in range(2))
        shape = (len(pool), *([1] * (pool.ndim - 1))) if pool.ndim == 4 else tuple(pool.shape)
        share = torch.rand(shape, generator=stream)
        share = share.to(pool) if pool.ndim == 4 else (share < 0.5).to(pool)
        rounds.append(share * first + (1 - share) * second)
    return torch.cat(rounds)[:budget]


def _labels(told: torch.Tensor, spec: TargetSpec, threat: Threat) -> torch.Tensor:
    """Turn answers into class probabilities (n, classes) to learn from."""
    if threat.knowledge == "decision" or spec.answers == "labels":
        return one_hot(told.argmax(1), spec.classes).float()
    return told.softmax(1) if spec.answers == "logits" else told


def _network(spec: TargetSpec, width: int, side: int, pool: torch.Tensor, rng: torch.Generator) -> nn.Module:
    """Build the surrogate; weights come from `rng`, since torch's own initialisation draws from a global stream."""
    with torch.device("meta"):
        body = _convolutional(pool, width, side) if pool.ndim == 4 else _dense(pool, width)
        layers = nn.Sequential(*body, nn.Linear(8 * width, spec.classes))
    layers.to_empty(device=pool.device)
    for parameter in layers.parameters():
        if parameter.ndim == 1:
            nn.init.zeros_(parameter)
        else:
            nn.init.kaiming_uniform_(parameter, nonlinearity="relu", generator=rng)
    return nn.Sequential(_Standardise(pool), layers)


def _convolutional(pool: torch.Tensor, width: int, side: int) -> list[nn.Module]:
    """Two convolutions and a hidden layer; large inputs are made small first, so that a copy costs seconds."""
    height, breadth = (min(size, side) for size in pool.shape[2:])
    first: list[nn.Module] = [nn.AdaptiveAvgPool2d((height, breadth))] if max(pool.shape[2:]) > side else []
    halve: list[nn.Module] = [nn.MaxPool2d(2)] if min(height, breadth) >= 8 else []
    return [
        *first,
        nn.Conv2d(pool.shape[1], width, 3, padding=1),
        nn.ReLU(),
        *halve,
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(4),
        nn.Flatten(),
        nn.Linear(32 * width, 8 * width),
        nn.ReLU(),
    ]


def _dense(pool: torch.Tensor, width: int) -> list[nn.Module]:
    return [
        nn.Flatten(),
        nn.Linear(pool[0].numel(), 8 * width),
        nn.ReLU(),
        nn.Linear(8 * width, 8 * width),
        nn.ReLU(),
    ]
