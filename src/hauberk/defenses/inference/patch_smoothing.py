"""Derandomised smoothing: bands of the image vote, so that a sticker can reach a few votes only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch.nn.functional import cross_entropy

from hauberk.core.card import Card
from hauberk.core.errors import MissingPower, UsageError
from hauberk.core.protocols import Differentiable, EvasionAttack, Modular, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.smoothed_patches import BandVote
from hauberk.defenses.transforming_images import demand_images
from hauberk.defenses.transforming_training import descend, tensors
from hauberk.numeric.patch_smoothing import bands

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class PatchSmoothing:
    """Train the model to tell classes from single bands of columns, and let the bands vote.

    What a band does not show is filled with the lowest value, where Levine & Feizi give a band channels of its own.
    Falls to: nothing within the certificate; to changes everywhere, since each band is easy to fool.
    width: of a band in columns; 0 for a quarter of the image. threshold: probability a class needs for a vote, 0–1.
    epochs, rate: of the training on random bands.
    """

    card: ClassVar[Card] = Card(
        title="Derandomised smoothing for patches",
        summary="Lets bands of the image vote; proves that no sticker of a given width turns the answer.",
        paper="Levine & Feizi 2020, arXiv:2002.10733",
        needs=("gradients", "module"),
        sets=("patch",),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    width: int = 0
    threshold: float = 0.3
    epochs: int = 20
    rate: float = 2e-3

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
        """Return the vote of a model fine-tuned on bands.

        Raises MissingPower for a target without a module or inputs that are no images, UsageError for settings without
        sense or too few samples.
        """
        if not isinstance(target, Modular):
            raise MissingPower(f"{target.spec.name} cannot give its module", fix="load it as a torch model")
        x, y = tensors(data, "derandomised smoothing")
        demand_images(target, x, "derandomised smoothing")
        width = self.width or max(1, x.shape[3] // 4)
        if not 1 <= width <= x.shape[3] or not 0 < self.threshold < 1:
            raise UsageError(
                f"bands of {width} columns and a threshold of {self.threshold:g} on images {x.shape[3]} wide",
                fix="choose a width within the image and a threshold between 0 and 1",
            )
        target.predict(x[:2])
        module, low = target.module(), target.spec.bounds[0]

        def loss(part: Tensor, labels: Tensor) -> Tensor:
            shown = bands(part, width, low)
            chosen = torch.randint(shown.shape[1], (len(part),), generator=rng)
            return cross_entropy(module(shown[torch.arange(len(part)), chosen]), labels)

        descend(module, loss, x, y, self.epochs, self.rate, rng, progress, "derandomised smoothing")
        tuned = target.rebuild(module, f"{target.spec.name} tuned to bands")
        return BandVote(cast(Differentiable, tuned), width, self.threshold)
