"""Binary activation detector: a network of its own learns what attacks do to hidden activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.defending import Detector
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.detecting import Fitted, broken
from hauberk.defenses.detecting_features import Features, Scale
from hauberk.defenses.detecting_pairs import told_apart
from hauberk.defenses.transforming_training import tensors

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class BinaryActivation:
    """Train a small network on the hidden activations of clean and of attacked inputs.

    Learns the attack it is given, and little else. Falls to: an attack on both networks at once (Carlini & Wagner 2017,
    arXiv:1705.07263, §4.3). width: of its hidden layer. epochs: of its training.
    """

    card: ClassVar[Card] = Card(
        title="Binary detector on activations",
        summary="Learns what attacks do to hidden activations; falls to an attack on both networks.",
        paper="Metzen et al. 2017, arXiv:1702.04267",
        needs=("gradients", "module"),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    width: int = 64
    epochs: int = 30

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

        Raises MissingPower for a target without a module, UsageError for too few samples or attacks that break too few.
        """
        x, y = tensors(data, "the binary activation detector")
        target.predict(x[:2])
        features = Features(target)
        wrong, right = broken(target, attack, x, y, threat, rng)
        clean, attacked = (torch.cat(features.rows(part), 1) for part in (right, wrong))
        scale = Scale(clean)
        net = torch.nn.Sequential(
            torch.nn.Linear(clean.shape[1], self.width), torch.nn.ReLU(), torch.nn.Linear(self.width, 1)
        )
        told_apart(
            net, scale(clean), scale(attacked), self.epochs, 3e-3, rng, progress, "the binary activation detector"
        )

        def score(points: Tensor) -> Tensor:
            found: Tensor = net(scale(torch.cat(features(points)[1], 1))).squeeze(1)
            return found

        return Fitted(score)
