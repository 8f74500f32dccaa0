"""Laser: a visible beam across the image, its colour, angle, place and width found by greedy search from scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.posing import Hunt, hunted
from hauberk.core.card import Card
from hauberk.core.protocols import Target
from hauberk.core.threat import Threat
from hauberk.numeric.transforms import BEAM


@dataclass(frozen=True, slots=True)
class Laser:
    """Adversarial laser beam.

    queries: beams looked at of each image, the clean look included; a threat's own budget goes before it.
    rounds: fresh random beams and a greedy search from the best known, in turn. drawn: share of the queries that goes
    to the random ones.
    """

    card: ClassVar[Card] = Card(
        title="Adversarial laser beam",
        summary="A laser pointer held into the picture: four parameters, by scores or labels, for threats with a beam "
        "range. Rendered as added light with a sharp edge; no lens, no flare.",
        paper="Duan et al. 2021, arXiv:2103.06504",
        sets=("transform",),
        inputs=("chw",),
        threats=("AML.T0043", "AML.T0041", "OWASP-ML01"),
    )

    queries: int = 400
    rounds: int = 4
    drawn: float = 0.5

    def run(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return the images (n, c, h, w) under the worst beam found."""
        hunt = self._hunt(target, x, y, threat, rng)
        return hunt.where.project(hunt.pose)

    def parameters(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator
    ) -> torch.Tensor:
        """Return the worst beam found of each image as its pose (n, k).

        Raises UsageError for a threat without transformations; without a beam range nothing is changed.
        """
        return self._hunt(target, x, y, threat, rng).pose

    def _hunt(self, target: Target, x: torch.Tensor, y: torch.Tensor, threat: Threat, rng: torch.Generator) -> Hunt:
        hunt = hunted(target, x, y, threat, self.queries, BEAM)
        each = hunt.left // max(1, self.rounds)
        for _ in range(self.rounds):
            hunt.roam(int(self.drawn * each), rng)
            hunt.climb(each - int(self.drawn * each), rng)
        return hunt
