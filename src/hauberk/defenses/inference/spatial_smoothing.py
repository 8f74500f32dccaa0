"""Spatial smoothing: each pixel becomes the median of its neighbourhood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.transforming import Transformation, transformed
from hauberk.defenses.transforming_images import demand_images, median

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class SpatialSmoothing:
    """Replace every pixel by the median of the window around it, channel by channel.

    Falls to: plain gradients. The median passes the gradient on to the pixel it chose, so that every gradient attack
    sees through it (He et al. 2017, arXiv:1706.04701). window: width in pixels.
    """

    card: ClassVar[Card] = Card(
        title="Spatial smoothing",
        summary="Median filter in front of the model; helps against few changed pixels, not against gradients.",
        paper="Xu et al. 2018, arXiv:1704.01155, section III-B",
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    window: int = 3

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
        """Return the target behind the filter.

        Raises MissingPower where inputs are no images, UsageError for a window < 2.
        """
        demand_images(target, torch.from_numpy(data.x[:1]) if len(data.x) else None, "the median filter")
        if self.window < 2:
            raise UsageError(f"the window is {self.window} pixels wide", fix="choose 2 or more")
        window = self.window
        how = Transformation(lambda x, _: median(x, window))
        return transformed(target, "spatial smoothing", how, rng)
