"""Quantile regression: how far a record's signal lies above what a network expects of records like it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import nn
from torch.nn.functional import one_hot

from hauberk.attacks.references import signals
from hauberk.core.card import Card
from hauberk.core.errors import MissingPower
from hauberk.core.protocols import References, Target
from hauberk.numeric.adam import Adam
from hauberk.numeric.membership import Signal

Tensor = torch.Tensor

FEWEST = 50
"""Records of a population under which nothing can be regressed."""
BATCH = 128


@dataclass(frozen=True, slots=True)
class QuantileRegression:
    """Score each record by (signal − mean) / deviation, both predicted from the record by a network.

    Bertran et al. 2023, arXiv:2307.03694, §3 with the normal family: one network, trained on a population that the
    target has not seen, instead of many shadow models; every quantile follows from its two outputs.

    width: of the two hidden layers. steps: of Adam. rate: its step size.
    """

    card: ClassVar[Card] = Card(
        title="Quantile regression (membership inference)",
        summary="Learns on outsiders how sure the model should be of such a record; no shadow model is trained.",
        paper="Bertran et al. 2023, arXiv:2307.03694, §3",
        needs=("scores",),
        inputs=("chw", "row", "wave", "frames"),
        threats=("AML.T0024.000", "OWASP-ML04"),
        extra="models",
    )
    uses: ClassVar[Literal["models", "population"]] = "population"

    width: int = 64
    steps: int = 600
    rate: float = 2e-3
    signal: Signal = "log-odds"

    def compare(self, target: Target, x: Tensor, y: Tensor, references: References, rng: torch.Generator) -> Tensor:
        """Return deviations above the expected signal (n,) float64. Raises MissingPower for a tiny population."""
        if len(references.y) < FEWEST:
            raise MissingPower(
                f"{len(references.y)} outsiders are too few to regress on", fix=f"give {FEWEST} more test samples"
            )
        known = signals(target, references.x, references.y, self.signal)
        centre, scale = known.mean(), known.std().clamp_min(1e-9)
        told, asked = (
            _features(part, labels, references.x, target.spec.classes)
            for part, labels in ((references.x, references.y), (x, y))
        )
        network = self._fit(told, ((known - centre) / scale).float(), rng)
        with torch.no_grad():
            mean, log_deviation = network(asked).double().unbind(1)
        own = (signals(target, x, y, self.signal) - centre) / scale
        score: Tensor = (own - mean) / log_deviation.exp()
        return score

    def _fit(self, features: Tensor, goal: Tensor, rng: torch.Generator) -> nn.Module:
        """Minimise the normal's negative log likelihood."""
        sizes = (features.shape[1], self.width, self.width, 2)
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            linear = nn.Linear(before, after)
            nn.init.kaiming_uniform_(linear.weight, nonlinearity="relu", generator=rng)
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.ReLU()]
        network = nn.Sequential(*layers[:-1])
        with torch.no_grad():
            layers[-2].weight.mul_(0.1)  # type: ignore[operator]
        optimizer = Adam(network.parameters(), self.rate)
        with torch.enable_grad():
            for _ in range(self.steps):
                rows = torch.randint(len(goal), (min(BATCH, len(goal)),), generator=rng)
                mean, log_deviation = network(features[rows]).unbind(1)
                log_deviation = log_deviation.clamp(-4, 4)
                optimizer.step((((goal[rows] - mean) / log_deviation.exp()).square() / 2 + log_deviation).mean())
        return network


def _features(x: Tensor, y: Tensor, like: Tensor, classes: int) -> Tensor:
    """Flatten, standardise by the population, and add the class (n, d + classes)."""
    flat, base = x.flatten(1).float(), like.flatten(1).float()
    scaled = (flat - base.mean(0)) / base.std(0).clamp_min(1e-6)
    return torch.cat((scaled.clamp(-10, 10), one_hot(y, classes).float()), 1)
