"""Spatial: turns and moves images within the threat's ranges, over a grid or at random, until the target errs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.posing import Hunt, hunted
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.transforms import GEOMETRY


@dataclass(frozen=True, slots=True)
class Spatial:
    """Spatial attack.

    queries: poses looked at of each image, the clean one included; a threat's own budget goes before it.
    search: "grid" over the ranges, their ends included, or the worst of "random" poses.
    """

    card: ClassVar[Card] = Card(
        title="Spatial attack",
        summary="The worst of a grid of rotations, shifts and scales; needs labels only. The paper finds the grid "
        "stronger than gradients; with many ranges at once choose evasion.transform.",
        paper="Engstrom et al. 2019, arXiv:1712.02779",
        sets=("transform",),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 400
    search: Literal["grid", "random"] = "grid"

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return the images (n, c, h, w) in the worst pose found."""
        hunt = self._hunt(target, x, y, threat, rng)
        return hunt.where.project(hunt.pose)

    def parameters(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return the worst pose found of each image (n, k); raises UsageError for a threat without transformations."""
        return self._hunt(target, x, y, threat, rng).pose

    def _hunt(self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator) -> Hunt:
        hunt = hunted(target, x, y, threat, self.queries, GEOMETRY)
        (hunt.scan if self.search == "grid" else hunt.roam)(hunt.left, rng)
        return hunt
