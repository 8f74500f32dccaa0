"""JPEG compression: the image is coded and decoded before the model sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.transforming import Transformation, transformed
from hauberk.defenses.transforming_images import demand_images
from hauberk.defenses.transforming_jpeg import compressed
from hauberk.numeric.bpda import identity

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class JPEG:
    """Compress with JPEG's transform and quantisation, without the lossless part, which changes nothing.

    Falls to: BPDA with the identity (Athalye et al. 2018, §5.3.1: 0 % accuracy on ImageNet). quality: 1–100, as
    libjpeg counts it.
    """

    card: ClassVar[Card] = Card(
        title="JPEG compression",
        summary="Codes and decodes the image; hides the gradient and falls to one that ignores it.",
        paper="Dziugaite et al. 2016, arXiv:1608.00853; Guo et al. 2018, arXiv:1711.00117",
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    quality: int = 75

    def apply(
        self,
        target: Target,
        data: Split,
        threat: Threat,  # noqa: ARG002
        rng: torch.Generator,
        *,
        attack: EvasionAttack,  # noqa: ARG002
        progress: Progress,  # noqa: ARG002
    ) -> Target:
        """Return the target behind the coding.

        Raises MissingPower where inputs are no images, UsageError for a bad quality.
        """
        demand_images(target, torch.from_numpy(data.x[:1]) if len(data.x) else None, "JPEG")
        if not 1 <= self.quality <= 100:
            raise UsageError(f"the quality is {self.quality}", fix="choose 1 to 100")
        quality, bounds = self.quality, target.spec.bounds
        how = Transformation(lambda x, _: compressed(x, quality, bounds), stand_in=identity)
        return transformed(target, "JPEG", how, rng)
