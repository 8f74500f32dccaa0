"""Noise on answers: every probability is moved at random, the same way whenever it is asked again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.transforming import Transformation, transformed

Tensor = torch.Tensor

_LEAD = 1e-6
"""What the likeliest class is put ahead by where noise would have moved it."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Add Gaussian noise to the probabilities, keep the likeliest class ahead, and let the row sum to 1 again.

    The noise is a function of the answer and a secret, so that asking twice and averaging gains nothing.
    Falls to: attacks by decision, and to a surrogate, which averages over inputs. scale: standard deviation.
    """

    card: ClassVar[Card] = Card(
        title="Noise on answers",
        summary="Moves probabilities at random, alike for the same input; the class stays.",
        paper="Tramèr et al. 2016, arXiv:1609.02943, section 7",
        needs=("scores",),
        inputs=("chw", "row", "wave", "frames", "tokens"),
        threats=("AML.T0024", "AML.T0024.002", "OWASP-ML05"),
        extra="models",
    )

    scale: float = 0.1

    def apply(
        self,
        target: Target,
        data: Split,  # noqa: ARG002
        threat: Threat,  # noqa: ARG002
        rng: torch.Generator,
        *,
        attack: EvasionAttack,  # noqa: ARG002
        progress: Progress,  # noqa: ARG002
    ) -> Target:
        """Return the target with changed answers; raises MissingPower for labels only, UsageError for bad settings."""
        if not 0 < self.scale < 10:
            raise UsageError(f"the scale is {self.scale:g}", fix="choose above 0 and below 10")
        scale, classes = self.scale, target.spec.classes
        secret = 1e4 * torch.rand(classes, classes, generator=rng, dtype=torch.float64)

        def noisy(chances: Tensor) -> Tensor:
            turned = ((chances.double() @ secret).sin() * 43758.5453).frac().abs().clamp(1e-6, 1 - 1e-6)
            normal = 2**0.5 * torch.erfinv(2 * turned - 1)
            moved = (chances + scale * normal.to(chances)).clamp(min=0)
            top = chances.argmax(1, keepdim=True)
            moved = moved.scatter(1, top, moved.amax(1, keepdim=True) + _LEAD)
            return moved / moved.sum(1, keepdim=True)

        return transformed(target, "noise on answers", Transformation(after=noisy), rng)
