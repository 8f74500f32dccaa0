"""Feature squeezing as a detector: does the answer change much when the input is squeezed?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.defending import Detector
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.detecting import Fitted, chances
from hauberk.defenses.transforming_images import demand_images, median, rounded
from hauberk.numeric.bpda import straight_through

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class FeatureSqueezing:
    """Score the largest L1 distance between the probabilities of an input and of its squeezed versions.

    Falls to: an attack that keeps the distance small (He et al. 2017, arXiv:1706.04701, §4). bits: of the rounded
    version. window: of the median's.
    """

    card: ClassVar[Card] = Card(
        title="Feature squeezing",
        summary="Compares answers before and after squeezing; untrained, falls to whoever descends the difference.",
        paper="Xu et al. 2018, arXiv:1704.01155, section V",
        needs=("scores",),
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    bits: int = 4
    window: int = 2

    def fit(
        self,
        target: Target,
        data: Split,
        threat: Threat,  # noqa: ARG002
        rng: torch.Generator,  # noqa: ARG002
        *,
        attack: EvasionAttack,  # noqa: ARG002
        progress: Progress,  # noqa: ARG002
    ) -> Detector:
        """Return the detector, which learns nothing.

        Raises MissingPower for inputs that are no images and for answers that are labels only.
        """
        demand_images(target, torch.from_numpy(data.x[:1]) if len(data.x) else None, "feature squeezing")
        levels, window, bounds = 2**self.bits, self.window, target.spec.bounds
        coarse = straight_through(lambda x: rounded(x, levels, bounds))
        if len(data.x):
            chances(target, torch.from_numpy(data.x[:1]))  # a target without scores is refused before anything is asked

        def score(x: Tensor) -> Tensor:
            plain = chances(target, x)
            squeezed = (chances(target, coarse(x)), chances(target, median(x, window)))
            return torch.stack([(plain - other).abs().sum(1) for other in squeezed]).amax(0)

        return Fitted(score)
