"""Small networks that learn from a target's answers: what the extraction attacks share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot, pad

from hauberk.core.errors import DataError
from hauberk.core.protocols import Target, TargetSpec
from hauberk.core.threat import Threat
from hauberk.numeric.adam import Adam

Tensor = torch.Tensor

ASKED = 256
"""Inputs sent to the target at once."""


@dataclass(frozen=True, slots=True)
class Schooling:
    """How a surrogate is built and trained.

    width: channels of the first convolution, or an eighth of the hidden units for rows. steps: optimiser steps.
    batch: inputs a step. learning_rate: of Adam at its peak, falling along a cosine.
    side: larger images are averaged down to this many pixels a side before the copy looks at them.
    shift: images are moved by up to so many pixels in each step, their answers kept; 0 for none.
    """

    width: int = 16
    steps: int = 300
    batch: int = 64
    learning_rate: float = 5e-3
    side: int = 32
    shift: int = 0

    def taught(self, x: Tensor, labels: Tensor, spec: TargetSpec, pool: Tensor, rng: torch.Generator) -> Surrogate:
        """Train a fresh surrogate on x (n, *shape) with class probabilities labels (n, classes).

        pool: what the thief standardises by.
        """
        network = self.untaught(spec, pool, rng)
        self.train(network, x, labels, rng)
        return Surrogate(network.eval().requires_grad_(False), spec)

    def untaught(self, spec: TargetSpec, pool: Tensor, rng: torch.Generator) -> nn.Module:
        """Build a network (n, *shape) → (n, classes) with random weights."""
        return _network(spec, self.width, self.side, pool, rng)

    def train(self, network: nn.Module, x: Tensor, labels: Tensor, rng: torch.Generator) -> None:
        """Fit the network to the answers by soft cross-entropy."""
        optimizer = Adam(network.parameters(), self.learning_rate)
        for step in range(self.steps):
            optimizer.rate = self.learning_rate * (1 + math.cos(math.pi * step / self.steps)) / 2
            rows = torch.randint(len(x), (min(self.batch, len(x)),), generator=rng)
            seen = shifted(x[rows], self.shift, rng) if self.shift and x.ndim == 4 else x[rows]
            optimizer.step(cross_entropy(network(seen), labels[rows]))


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

    def predict(self, x: Tensor) -> Tensor:
        """Score inputs x (n, *shape) → logits (n, classes) without gradient."""
        with torch.no_grad():
            return self.forward(x)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits (n, classes) under autograd."""
        logits: Tensor = self._network(x)
        return logits


class Standardise(nn.Module):
    """Shift and scale inputs by what the attacker sees in his own pool: per channel, or per column."""

    center: Tensor
    scale: Tensor

    def __init__(self, pool: Tensor) -> None:
        super().__init__()
        axes = (0, 2, 3) if pool.ndim == 4 else (0,)
        center, scale = pool.mean(axes, keepdim=True), pool.std(axes, keepdim=True, correction=0)
        self.register_buffer("center", center)
        self.register_buffer("scale", torch.where(scale > 1e-6, scale, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        """Standardise x (n, *shape)."""
        return (x - self.center) / self.scale


def budget_of(pool: Tensor, threat: Threat) -> int:
    """Return the queries a thief may ask: the threat's, or one for each of the pool; raises DataError for none."""
    budget = len(pool) if threat.queries is None else threat.queries
    if not len(pool) or budget < 1:
        raise DataError("a surrogate needs a pool of inputs and at least one query", fix="raise queries")
    return budget


def ask(target: Target, x: Tensor) -> Tensor:
    """Send inputs x (n, *shape) in batches → answers (n, classes)."""
    if not len(x):
        return torch.zeros(0, target.spec.classes)
    return torch.cat([target.predict(x[start : start + ASKED]) for start in range(0, len(x), ASKED)])


def soft_labels(told: Tensor, spec: TargetSpec, threat: Threat) -> Tensor:
    """Turn answers into class probabilities (n, classes) to learn from; labels for who is told the decision only."""
    if threat.knowledge == "decision" or spec.answers == "labels":
        return one_hot(told.argmax(1), spec.classes).float()
    return told.softmax(1) if spec.answers == "logits" else told


def stretched(pool: Tensor, budget: int, rng: torch.Generator) -> Tensor:
    """Draw `budget` inputs: the pool in random order, then rounds of mixtures of two of its inputs.

    Mixtures are convex for images and column by column for rows, so that every value is one the column really takes.
    With one rng state a larger budget begins with the same inputs.
    """
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


def shifted(x: Tensor, most: int, rng: torch.Generator) -> Tensor:
    """Move every image of x (n, c, h, w) by up to `most` pixels each way; what comes into view repeats the edge."""
    down, right = (torch.randint(2 * most + 1, (len(x),), generator=rng) for _ in range(2))
    wide = pad(x, (most, most, most, most), mode="replicate")
    rows = down[:, None] + torch.arange(x.shape[2])
    columns = right[:, None] + torch.arange(x.shape[3])
    return wide.permute(0, 2, 3, 1)[torch.arange(len(x))[:, None, None], rows[:, :, None], columns[:, None]].permute(
        0, 3, 1, 2
    )


def _network(spec: TargetSpec, width: int, side: int, pool: Tensor, rng: torch.Generator) -> nn.Module:
    """Build the surrogate; weights come from `rng`, since torch's own initialisation draws from a global stream."""
    with torch.device("meta"):
        body = _convolutional(pool, width, side) if pool.ndim == 4 else _dense(pool, width)
        layers = nn.Sequential(*body, nn.Linear(8 * width, spec.classes))
    return nn.Sequential(Standardise(pool), fresh(layers, rng, pool.device))


def fresh(layers: nn.Module, rng: torch.Generator, device: torch.device) -> nn.Module:
    """Give a module built on the meta device weights drawn from `rng` alone (He et al. 2015), biases of 0.

    Its modules have parameters and no buffers.
    """
    for part in layers.modules():
        for name, shape in [(name, parameter.shape) for name, parameter in part.named_parameters(recurse=False)]:
            # Not `to_empty`: an empty twin of a tensor on the meta device has sympy imported first.
            drawn = torch.zeros(shape, device=device)
            if drawn.ndim > 1:
                nn.init.kaiming_uniform_(drawn, nonlinearity="relu", generator=rng)
            part.register_parameter(name, nn.Parameter(drawn))
    return layers


def _convolutional(pool: Tensor, width: int, side: int) -> list[nn.Module]:
    """Two convolutions and a hidden layer; large inputs are made small first, so that a copy costs seconds."""
    height, breadth = (min(size, side) for size in pool.shape[2:])
    first: list[nn.Module] = [nn.AdaptiveAvgPool2d((height, breadth))] if max(pool.shape[2:]) > side else []
    halve: list[nn.Module] = [nn.MaxPool2d(2)] if min(height, breadth) >= 8 else []
    # Coarser than 7 a copy of a small network is never faithful, however many answers it learns from.
    high, wide = (min(7, size // 2 if halve else size) for size in (height, breadth))
    return [
        *first,
        nn.Conv2d(pool.shape[1], width, 3, padding=1),
        nn.ReLU(),
        *halve,
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d((high, wide)),
        nn.Flatten(),
        nn.Linear(2 * width * high * wide, 8 * width),
        nn.ReLU(),
    ]


def _dense(pool: Tensor, width: int) -> list[nn.Module]:
    return [
        nn.Flatten(),
        nn.Linear(pool[0].numel(), 8 * width),
        nn.ReLU(),
        nn.Linear(8 * width, 8 * width),
        nn.ReLU(),
    ]
