"""Overload: inputs on which a detector proposes as many boxes as possible, so that sorting them out takes longest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hauberk.attacks.effort import Effort, climb
from hauberk.core.card import Card
from hauberk.core.errors import MissingPower
from hauberk.core.protocols import Differentiable, Target
from hauberk.core.threat import Threat

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Overload:
    """Overload of a detector.

    The target's scores (n, boxes) are the confidences of its candidate boxes, before any is sorted out.
    steps: gradients. pace: length of the first step as a share of the radius. threshold: the confidence, in the unit
    of the scores, from which the detector keeps a box.
    """

    card: ClassVar[Card] = Card(
        title="Overload of a detector",
        summary="Lifts as many candidate boxes as possible over the threshold: non-maximum suppression slows down.",
        paper="Chen et al. 2024, arXiv:2304.05370 (Overload), without its map of where the image is still empty",
        needs=("gradients",),
        norms=("linf", "l2"),
        inputs=("chw",),
        threats=("AML.T0034", "AML.T0029", "OWASP-ML01"),
    )

    steps: int = 50
    pace: float = 0.2
    threshold: float = 0.5

    def run(self, target: Target, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return the inputs with most boxes, x's shape, inside the ball.

        Raises MissingPower for a target without gradients, UsageError for a threat without an linf or l2 ball.
        """
        if not isinstance(target, Differentiable):
            raise MissingPower(f"{target.spec.name} gives no gradients", fix="reach it as a torch module")

        def measure(point: Tensor) -> Effort:
            scores = target.forward(point)
            short = (self.threshold - scores).clamp(min=0)
            # A box far below pulls less than one just below: lifting the near ones counts first.
            reach = short.detach().mean(1, keepdim=True) + 1e-12
            return Effort((scores > self.threshold).float().sum(1), (-short / (short.detach() + reach)).sum(1))

        return climb(measure, x, threat, target.spec.bounds, self.steps, self.pace)
