"""Feature squeezing: fewer grey levels and a median filter, so that small changes have nowhere to hide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.transforming import Transformation, transformed
from hauberk.defenses.transforming_images import demand_images, median, rounded
from hauberk.numeric.bpda import identity

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class FeatureSqueezing:
    """Round to 2^bits levels, then take the median of the window around each pixel.

    Falls to: a straight-through gradient (He et al. 2017, arXiv:1706.04701, §4). bits: of every value, 1–8.
    window: width in pixels, 1 for none. As a detector see detection.feature_squeezing.
    """

    card: ClassVar[Card] = Card(
        title="Feature squeezing",
        summary="Bit-depth reduction and median filter in one; cheap, and falls to an attack that knows it.",
        paper="Xu et al. 2018, arXiv:1704.01155",
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    bits: int = 4
    window: int = 2

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
        """Return the target behind both squeezers.

        Raises MissingPower where inputs are no images, UsageError for bad settings.
        """
        demand_images(target, torch.from_numpy(data.x[:1]) if len(data.x) else None, "feature squeezing")
        if not 1 <= self.bits <= 8 or self.window < 1:
            raise UsageError(f"bits is {self.bits} and the window {self.window}", fix="choose bits 1–8, a window ≥ 1")
        bounds, levels, window = target.spec.bounds, 2**self.bits, self.window

        def squeezed(x: Tensor, _: torch.Generator) -> Tensor:
            coarse = rounded(x, levels, bounds)
            return median(coarse, window) if window > 1 else coarse

        def stand_in(x: Tensor) -> Tensor:
            return median(x, window) if window > 1 else identity(x)

        return transformed(target, "feature squeezing", Transformation(squeezed, stand_in=stand_in), rng)
