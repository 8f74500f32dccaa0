"""Semantic: changes hue, saturation, brightness and contrast within the threat's ranges until the target errs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from hauberk.attacks.posing import Hunt, hunted
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.transforms import COLOUR


@dataclass(frozen=True, slots=True)
class Semantic:
    """Semantic attack.

    queries: colourings looked at of each image, the clean one included; a threat's own budget goes before it.
    search: "grid" over the ranges, their ends included, or the worst of "random" ones.
    """

    card: ClassVar[Card] = Card(
        title="Semantic attack (colours)",
        summary="The worst of many colourings and the negative image (a contrast range down to -1), by labels alone: "
        "tells whether a model leans on colour or light. Not small in any norm.",
        paper="Hosseini & Poovendran 2018, arXiv:1804.00499; the negative: Hosseini et al. 2017, arXiv:1703.06857",
        sets=("transform",),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0015", "OWASP-ML01"),
    )

    queries: int = 200
    search: Literal["grid", "random"] = "grid"

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return the images (n, c, h, w) in the worst colours found."""
        hunt = self._hunt(target, x, y, threat, rng)
        return hunt.where.project(hunt.pose)

    def parameters(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return the worst pose found of each image (n, k); raises UsageError for a threat without transformations."""
        return self._hunt(target, x, y, threat, rng).pose

    def _hunt(self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator) -> Hunt:
        hunt = hunted(target, x, y, threat, self.queries, COLOUR)
        (hunt.scan if self.search == "grid" else hunt.roam)(hunt.left, rng)
        return hunt
