"""MagNet: an autoencoder of clean inputs gives attacked ones back badly, and the model answers otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.defending import Detector
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.detecting import Fitted, chances
from hauberk.defenses.transforming_autoencoder import remembered
from hauberk.defenses.transforming_training import tensors

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class MagNet:
    """Score the larger of two signs: the autoencoder's error, and how much the answer changes behind it.

    The change is the Jensen–Shannon divergence of the probabilities; each sign is brought to mean 0 and deviation 1 on
    held-out clean data. Its reformer is inference.purification. Falls to: gradients through both networks (Carlini &
    Wagner 2017, arXiv:1711.08478). width, noise, epochs: of the autoencoder. temperature: of the probabilities.
    """

    card: ClassVar[Card] = Card(
        title="MagNet",
        summary="Error and divergence of answers behind an autoencoder; falls to gradients through both networks.",
        paper="Meng & Chen 2017, arXiv:1705.09064, section 4.1",
        needs=("scores",),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    width: int = 16
    noise: float = 0.1
    epochs: int = 15
    temperature: float = 10.0

    def fit(
        self,
        target: Target,
        data: Split,
        threat: Threat,  # noqa: ARG002
        rng: torch.Generator,
        *,
        attack: EvasionAttack,  # noqa: ARG002
        progress: Progress,
    ) -> Detector:
        """Train the autoencoder on nine tenths of the clean data and scale both signs on the rest.

        Raises UsageError for too few samples, MissingPower for a target that answers with labels only.
        """
        x, y = tensors(data, "MagNet", fewest=64)
        order = torch.randperm(len(y), generator=rng).numpy()
        cut = len(y) - max(16, len(y) // 10)
        kept = Split(data.x[order[:cut]], data.y[order[:cut]])
        net = remembered(
            kept,
            target.spec.bounds,
            width=self.width,
            noise=self.noise,
            epochs=self.epochs,
            rng=rng,
            progress=progress,
            what="MagNet",
        )
        held, temperature = x[torch.from_numpy(order[cut:])], self.temperature

        def signs(points: Tensor) -> Tensor:
            again = net(points)
            error = (again - points).abs().flatten(1).mean(1)
            first, second = chances(target, points, temperature), chances(target, again, temperature)
            return torch.stack((error, _divergence(first, second)), 1)

        with torch.no_grad():
            clean = signs(held)
        mean, spread = clean.mean(0), clean.std(0).clamp(min=1e-9)

        def score(points: Tensor) -> Tensor:
            return ((signs(points) - mean) / spread).amax(1)

        return Fitted(score)


def _divergence(first: Tensor, second: Tensor) -> Tensor:
    """Return the Jensen–Shannon divergence (n,) in nats of rows of probabilities (n, classes)."""
    first, second = first.clamp_min(1e-12), second.clamp_min(1e-12)
    middle = ((first + second) / 2).log()
    return ((first * (first.log() - middle)).sum(1) + (second * (second.log() - middle)).sum(1)) / 2
