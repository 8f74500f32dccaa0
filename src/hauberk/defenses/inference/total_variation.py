"""Total-variation minimisation: pixels are dropped at random and the image is rebuilt as smooth as it can be."""

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
from hauberk.numeric.bpda import identity

Tensor = torch.Tensor

_PACE, _EPSILON = 0.2, 0.03
"""Step of the minimisation, and what rounds the corner of |·| off, on images of range 0–1: together they converge."""


@dataclass(frozen=True, slots=True)
class TotalVariation:
    """Drop pixels at random and rebuild the image with the least total variation that keeps the others.

    Falls to: BPDA with the identity and the mean over draws (Athalye et al. 2018, §5.3.1: 0 % accuracy on ImageNet).
    keep: share of pixels kept, 0–1. weight: of the total variation. steps: of the minimisation.
    draws: that an adaptive attacker takes the mean of.
    """

    card: ClassVar[Card] = Card(
        title="Total-variation minimisation",
        summary="Drops pixels and smooths over the gaps; dear, and falls to BPDA with a few draws.",
        paper="Guo et al. 2018, arXiv:1711.00117, section 3.2",
        norms=("linf", "l2", "l1", "l0"),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
        extra="models",
    )

    keep: float = 0.8
    weight: float = 0.05
    steps: int = 40
    draws: int = 10

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
        """Return the target behind the rebuilding.

        Raises MissingPower where inputs are no images, UsageError for a bad share.
        """
        demand_images(target, torch.from_numpy(data.x[:1]) if len(data.x) else None, "total-variation minimisation")
        if not 0 < self.keep <= 1:
            raise UsageError(f"the share kept is {self.keep:g}", fix="choose a share above 0, 1 at most")
        low, high = target.spec.bounds
        keep, weight, steps = self.keep, self.weight, self.steps

        def smoothed(x: Tensor, draw: torch.Generator) -> Tensor:
            unit = (x - low) / (high - low)
            return low + (high - low) * _rebuilt(unit, keep, weight, steps, draw).clamp(0, 1)

        how = Transformation(smoothed, stand_in=identity, draws=self.draws)
        return transformed(target, "total-variation minimisation", how, rng)


def _rebuilt(images: Tensor, keep: float, weight: float, steps: int, rng: torch.Generator) -> Tensor:
    """Minimise ‖mask · (z − x)‖² + weight · TV(z) by `steps` gradient steps from the mean colour; z (n, c, h, w)."""
    mask = (torch.rand(images.shape, generator=rng) < keep).to(images)
    known = (mask * images).sum((2, 3), keepdim=True) / mask.sum((2, 3), keepdim=True).clamp(min=1)
    start = mask * images + (1 - mask) * known
    z = start
    for _ in range(steps):
        z = z - _PACE * (2 * mask * (z - images) + weight * _slope(z))
    return z


def _slope(z: Tensor) -> Tensor:
    """Return the gradient of the smoothed total variation Σ √(dx² + dy² + ε²) of z (n, c, h, w)."""
    right = torch.nn.functional.pad(z[..., 1:] - z[..., :-1], (0, 1))
    down = torch.nn.functional.pad(z[..., 1:, :] - z[..., :-1, :], (0, 0, 0, 1))
    length = (right.square() + down.square() + _EPSILON**2).sqrt()
    along, across = right / length, down / length
    back = torch.nn.functional.pad(along[..., :-1], (1, 0)) + torch.nn.functional.pad(across[..., :-1, :], (0, 0, 1, 0))
    return back - along - across
