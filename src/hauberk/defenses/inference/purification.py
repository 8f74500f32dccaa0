"""Purification: an autoencoder of clean inputs gives each input back as it remembers such ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.transforming import Transformation, transformed
from hauberk.defenses.transforming_autoencoder import remembered

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Purification:
    """Put an autoencoder trained on the training split, the reformer of MagNet, in front of the model.

    Falls to: plain gradients through autoencoder and model (Carlini & Wagner 2017, arXiv:1711.08478). width: channels
    of its layers. noise: it learns to remove, as a share of the bounds' range. epochs: of its training.
    """

    card: ClassVar[Card] = Card(
        title="Purification by an autoencoder",
        summary="Rebuilds inputs from what clean ones look like; stops transfer, falls to gradients through both.",
        paper="Meng & Chen 2017, arXiv:1705.09064, section 4.2",
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    width: int = 16
    noise: float = 0.1
    epochs: int = 15

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
        """Return the target behind the autoencoder; raises UsageError where there are too few samples to train it."""
        net = remembered(
            data,
            target.spec.bounds,
            width=self.width,
            noise=self.noise,
            epochs=self.epochs,
            rng=rng,
            progress=progress,
            what="purification",
        )

        def purified(x: Tensor, _: torch.Generator) -> Tensor:
            again: Tensor = net(x)
            return again

        return transformed(target, "purification", Transformation(purified), rng)
