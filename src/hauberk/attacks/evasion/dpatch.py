"""DPatch: one patch for all images of an object detector, by the gradient of whatever its head is to get wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch

from hauberk.attacks.patching import Climbed, Film, Scene, climbing, surface, trained
from hauberk.core.card import Card
from hauberk.core.errors import UsageError
from hauberk.core.protocols import Target
from hauberk.core.threat import Patch, Threat
from hauberk.numeric.losses import LossName
from hauberk.numeric.patches import cover, laid

Tensor = torch.Tensor

Detector: TypeAlias = Callable[[Tensor], Tensor]
"""All a detector has to be: images (n, c, h, w) → its head's raw output (n, …) under autograd, before any threshold or
suppression of overlapping boxes, which pass no gradient."""
HeadLoss: TypeAlias = Callable[[Tensor], Tensor]
"""A head's raw output (n, …) → what the attacker climbs (n,): less objectness hides things, more invents some, more of
one class's score turns everything into it."""


@dataclass(frozen=True, slots=True)
class DPatch:
    """DPatch.

    steps: gradients. views: random images a step takes the mean of. pace: length of a step in the beginning, as a share
    of the bounds' range. loss: "ce", "margin" or "dlr", of a classifier.
    anywhere: the patch lies at a random place in each look and not always at the threat's (the top left corner where it
    names none). turn: degrees to either side, grow: scale of 1 ± this, light: brightness and contrast of ± this share;
    with these it is Robust DPatch.
    """

    card: ClassVar[Card] = Card(
        title="DPatch and Robust DPatch",
        summary="One patch for all images at one place: made for detectors, through `train` with a loss of the raw "
        "head. On a classifier evasion.patch is stronger, as it chooses each image's place.",
        paper="Liu et al. 2018, arXiv:1806.02299; robust: Lee & Kolter 2019, arXiv:1906.11897; steps by Adam",
        needs=("gradients",),
        sets=("patch",),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0041", "OWASP-ML01"),
    )

    steps: int = 200
    views: int = 16
    pace: float = 0.1
    loss: LossName = "ce"
    anywhere: bool = False
    turn: float = 0.0
    grow: float = 0.0
    light: float = 0.0

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Return images (n, c, h, w) of a classifier with the one patch; raises UsageError without a patch threat."""
        where = surface(threat, x, target.spec.bounds, "evasion.dpatch")
        if not len(x) or threat.patch is None:
            return x.clone()
        climbed = climbing(target, y, threat, self.loss, "evasion.dpatch")
        steps = self.steps
        if threat.queries is not None:
            steps = min(steps, threat.queries * len(x) // max(1, self.views))
        patch = self._trained(climbed, x, target.spec.bounds, threat.patch, steps, rng)
        return laid(x, _corners(threat.patch, x), patch, cover(where.sides, "rectangle", x.device))

    def train(
        self,
        detector: Detector,
        loss: HeadLoss,
        images: Tensor,
        bounds: tuple[float, float],
        patch: Patch,
        rng: torch.Generator,
    ) -> Tensor:
        """Return the patch (c, height, width) that climbs `loss` of a detector's raw head on images (n, c, h, w).

        patch: its size and place. Raises UsageError where there are no images or the loss has no value for each.
        """
        if not len(images):
            raise UsageError("evasion.dpatch needs images to train on")

        def climbed(shown: Tensor, rows: Tensor) -> Tensor:
            value = loss(detector(shown))
            if value.shape != (len(rows),):
                raise UsageError(f"the loss of the head has shape {tuple(value.shape)}, expected {(len(rows),)}")
            return value

        return self._trained(climbed, images, bounds, patch, self.steps, rng)

    def _trained(
        self,
        climbed: Climbed,
        images: Tensor,
        bounds: tuple[float, float],
        patch: Patch,
        steps: int,
        rng: torch.Generator,
    ) -> Tensor:
        sides = patch.sides(*images.shape[2:])
        corners = None if self.anywhere else _corners(patch, images)
        mask = cover(sides, "rectangle", images.device)
        scene = Scene(images, bounds, corners, mask, Film(self.turn, self.grow, self.light))
        low, high = bounds
        grey = images.new_full((1, images.shape[1], *sides), (low + high) / 2)
        noise = torch.rand(grey.shape, generator=rng, device=rng.device).to(grey) - 0.5
        return trained(scene, climbed, grey + noise * (high - low), steps, self.views, self.pace, rng)[0]


def _corners(patch: Patch, images: Tensor) -> Tensor:
    return torch.tensor(patch.place or (0, 0), device=images.device).expand(len(images), 2)
