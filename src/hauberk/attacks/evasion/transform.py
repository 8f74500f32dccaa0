"""Transform: searches all a transformation threat allows at once, by gradient where there is one, else by scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.posing import Hunt, hunted
from hauberk.core.card import Card
from hauberk.core.protocols import Differentiable, Target
from hauberk.core.threat import Threat
from hauberk.numeric.transforms import PARAMETERS


@dataclass(frozen=True, slots=True)
class WorstTransform:
    """Worst transformation.

    queries: poses looked at of each image, gradients included; a threat's own budget goes before it.
    explored: share of them spent on a grid or, with many ranges, on random poses; the rest improves on the best.
    starts: of gradient ascent, the first from the best pose, the others from random ones.
    """

    card: ClassVar[Card] = Card(
        title="Worst transformation",
        summary="Rotation, shift, scale, perspective, light, colour and beam together: a grid or chance first, then "
        "gradient or small steps by scores; the default against transformation threats.",
        paper="after Engstrom et al. 2019, arXiv:1712.02779, with refinement of the best pose",
        sets=("transform",),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 300
    explored: float = 0.6
    starts: int = 3

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
        hunt = hunted(target, x, y, threat, self.queries, PARAMETERS)
        explored = int(self.explored * hunt.left)
        # The ends of the ranges are the worst places to leave out: chance only where a grid cannot hold them all.
        (hunt.scan if 2 ** len(hunt.free) <= explored else hunt.roam)(explored, rng)
        if isinstance(target, Differentiable):
            hunt.descend(hunt.left // 2, self.starts, rng)
        if target.spec.answers == "labels":
            hunt.roam(hunt.left, rng)  # labels tell no better from worse
        hunt.climb(hunt.left, rng)
        return hunt
