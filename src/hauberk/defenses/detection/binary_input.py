"""Binary input detector: a network of its own learns what attacked inputs look like."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from hauberk.core.card import Card
from hauberk.core.defending import Detector
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.detecting import Fitted, broken
from hauberk.defenses.detecting_pairs import told_apart
from hauberk.defenses.transforming_training import tensors

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class BinaryInput:
    """Train a small network on clean and attacked inputs.

    Learns the attack it is given, and little else. Falls to: an attack on both networks at once (Carlini & Wagner 2017,
    arXiv:1705.07263, §4.1). width: channels of its layers. epochs: of its training.
    """

    card: ClassVar[Card] = Card(
        title="Binary detector on inputs",
        summary="Learns attacked inputs from clean ones; knows the attack it was shown, falls to one on both networks.",
        paper="Gong et al. 2017, arXiv:1704.04960",
        needs=(),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    width: int = 16
    epochs: int = 15

    def fit(
        self,
        target: Target,
        data: Split,
        threat: Threat,
        rng: torch.Generator,
        *,
        attack: EvasionAttack,
        progress: Progress,
    ) -> Detector:
        """Learn from the training split, attacked and not.

        Raises UsageError for too few samples or an attack that breaks too few.
        """
        x, y = tensors(data, "the binary input detector")
        wrong, right = broken(target, attack, x, y, threat, rng)
        low, high = target.spec.bounds
        net = told_apart(
            _net(tuple(x.shape[1:]), self.width),
            (right - low) / (high - low),
            (wrong - low) / (high - low),
            self.epochs,
            3e-3,
            rng,
            progress,
            "the binary input detector",
        )

        def score(points: Tensor) -> Tensor:
            found: Tensor = net((points - low) / (high - low)).squeeze(1)
            return found

        return Fitted(score)


def _net(shape: tuple[int, ...], width: int) -> nn.Module:
    """Build it: two convolutions for images, one hidden layer for anything else."""
    if len(shape) == 3:
        return nn.Sequential(
            nn.Conv2d(shape[0], width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(8 * width, 1),
        )
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 4 * width), nn.ReLU(), nn.Linear(4 * width, 1))
