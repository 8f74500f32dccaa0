"""Bit-depth reduction: inputs are rounded to a few levels before the model sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import EvasionAttack, Progress, Split, Target
from hauberk.core.threat import Threat
from hauberk.defenses.transforming import Transformation, transformed
from hauberk.defenses.transforming_images import rounded
from hauberk.numeric.bpda import identity

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class BitDepth:
    """Round every input value to 2^bits levels spread evenly over the bounds.

    Falls to: a straight-through gradient, which ignores the rounding (Athalye et al. 2018; He et al. 2017,
    arXiv:1706.04701). It stops only changes smaller than half a level. bits: of every value, 1–8.
    """

    card: ClassVar[Card] = Card(
        title="Bit-depth reduction",
        summary="Rounds inputs to a few levels; hides the gradient and falls to one that ignores it.",
        paper="Xu et al. 2018, arXiv:1704.01155, section III-A",
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw", "row"),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    bits: int = 3

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
        """Return the target behind the rounding; raises UsageError for bits outside 1–8."""
        if not 1 <= self.bits <= 8:
            raise UsageError(f"bits is {self.bits}", fix="choose 1 to 8")
        levels, bounds = 2**self.bits, target.spec.bounds
        how = Transformation(lambda x, _: rounded(x, levels, bounds), stand_in=identity)
        return transformed(target, "bit-depth reduction", how, rng)
